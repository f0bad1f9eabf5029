"""The same bytes from a Ray cluster of two raylets; workers that die, and a cluster that is not there or goes away."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.batches import closed, write_batches

ROOT = Path(__file__).parents[2]
COUNT = 200  # windows: three spans at least
UNTIL = "2026-01-03T02:00:00Z"
SPAN = ("--phase", "B", "--since", "2026-01-01T00:00:00Z", "--until", UNTIL, "--no-ledger", "--no-cache")
CANNOT_BE_REACHED = "cannot be reached, or was lost"


class Raylets:
    """A cluster of two raylets of one core each, in a process of its own, so that it can be killed."""

    def __init__(self) -> None:
        code = (
            "import sys; from ray.cluster_utils import Cluster\n"
            "c = Cluster(initialize_head=True, head_node_args={'num_cpus': 1, 'include_dashboard': False})\n"
            "c.add_node(num_cpus=1); print(c.address, flush=True); sys.stdin.read(); c.shutdown()"
        )
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=pipe, stdout=pipe, text=True, env=environment()
        )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()

    def end(self) -> None:
        """Stop it, as its owner would."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait(60)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def kill_head(self) -> None:
        """End the head's process that everybody asks."""
        own = [pid for pid, _ in named("gcs_server") if parent_of(pid) == self.process.pid]
        assert len(own) == 1
        os.kill(own[0], signal.SIGKILL)


def parent_of(pid: int) -> int:
    """The process that started `pid`, 0 where it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def environment(**more: str) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "RAY_AUTH_MODE": "disabled",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        **more,
    }


def named(word: str) -> Iterator[tuple[int, str]]:
    """Processes whose command line holds `word`."""
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            told = place.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if word in told:
                yield int(place.parent.name), told


@pytest.fixture(scope="module")
def cluster() -> Iterator[Raylets]:
    made = Raylets()
    yield made
    made.end()


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    kinds = ["met", "warn", "met", "violation", "met"] * (COUNT // 5)
    assert closed(COUNT).isoformat().startswith("2026-01-03T02:05")
    return write_batches(tmp_path_factory.mktemp("logs"), "B", kinds)


def replay(logs: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "checker", "replay", *SPAN, "--logs", str(logs), "--format", "jsonl", *more]


def run(logs: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = replay(logs, *more)
    return subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env=environment(), timeout=240, check=False
    )


def test_the_same_bytes_from_the_cluster(cluster: Raylets, logs: Path) -> None:
    here = run(logs)
    there = run(logs, "--engine", "ray", "--address", cluster.address)
    assert here.stdout.count("\n") == COUNT
    assert there.stdout == here.stdout, there.stderr
    assert (there.returncode, there.stderr) == (here.returncode, here.stderr) == (1, "")


def test_a_worker_that_dies_is_made_up_for(cluster: Raylets, logs: Path) -> None:
    here = run(logs)
    command = replay(logs, "--engine", "ray", "--address", cluster.address)
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=ROOT, env=environment()) as process:
        killed = kill_a_worker(process)
        out, err = process.communicate(timeout=240)
    assert killed, "no worker was caught at work"
    assert out == here.stdout, err


def kill_a_worker(process: subprocess.Popen[str]) -> bool:
    """Kill a worker of the cluster while it measures."""
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        for pid, _ in named("ray::measured_there"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                return True
        time.sleep(0.005)
    return False


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def test_a_cluster_that_is_not_there_is_told_at_once(logs: Path) -> None:
    begun = time.monotonic()
    done = run(logs, "--engine", "ray", "--address", f"127.0.0.1:{free_port()}")
    assert done.returncode == 3
    assert CANNOT_BE_REACHED in done.stderr
    assert "--engine local" in done.stderr
    assert done.stdout == ""
    assert time.monotonic() - begun < 30


def test_a_head_that_goes_away_is_told(logs: Path) -> None:
    made = Raylets()
    try:
        command = replay(logs, "--engine", "ray", "--address", made.address)
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=ROOT, env=environment()) as process:
            assert wait_for_work(process)
            made.kill_head()
            out, err = process.communicate(timeout=120)
        assert process.returncode == 3, err
        assert CANNOT_BE_REACHED in err
        assert out == ""
    finally:
        own = [pid for word in ("raylet", "gcs_server") for pid, _ in named(word) if parent_of(pid) == made.process.pid]
        for pid in own:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        made.process.kill()
        made.end()


def wait_for_work(process: subprocess.Popen[str]) -> bool:
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        if any(named("ray::measured_there")):
            return True
        time.sleep(0.005)
    return False


def test_an_address_without_ray_is_a_wrong_call(logs: Path) -> None:
    done = run(logs, "--address", "127.0.0.1:6379")
    assert done.returncode == 2
    assert "it goes with --engine ray" in done.stderr


def test_a_worker_of_another_version_is_refused() -> None:
    from checker.engines.ray_driver import measured_there
    from checker.errors import CannotDecide

    nothing: Any = None
    with pytest.raises(CannotDecide, match="install the same version there"):
        measured_there(nothing, "0.0.1", nothing)
