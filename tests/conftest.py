"""What every test shares: the zygote of a test process ends with it, and its link is closed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from checker.child.zygote import shut_down


@pytest.fixture(scope="session", autouse=True)
def _zygote_ends() -> Iterator[None]:
    yield
    shut_down()
