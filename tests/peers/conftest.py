"""Programs of other people that phasegate speaks with: Debian's, which `make peers` fetches. Where one is missing, its
tests are skipped."""

from __future__ import annotations

import os
import shutil

import pytest


@pytest.fixture(scope="session")
def binaries() -> dict[str, str]:
    """Where `prometheus` and `promtool` are; a failure where PHASEGATE_PEERS says that they must be there."""
    found = {name: path for name in ("prometheus", "promtool") if (path := shutil.which(name))}
    if len(found) < 2:
        if os.environ.get("PHASEGATE_PEERS") == "required":
            pytest.fail("there is no prometheus with its promtool; `make peers` fetches them")
        pytest.skip("there is no prometheus with its promtool: run `make peers`, which fetches them")
    return found
