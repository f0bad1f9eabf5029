"""A real Chromium for the pages: Debian's, which `make browser` installs. Where there is none the tests are skipped."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, one for all tests; a failure where PHASEGATE_BROWSER says that there must be one."""
    path = shutil.which("chromium")
    if path is None:
        if os.environ.get("PHASEGATE_BROWSER") == "required":
            pytest.fail("there is no chromium; `make browser` installs it")
        pytest.skip("there is no chromium: run `make browser`, which installs it")
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=path, args=list(FLAGS))
        yield chromium
        chromium.close()
