"""The numbers of real telemetry, against answers computed without DuckDB."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.oracles import SETS, DataSet, differences, main

ROOT = Path(__file__).parent.parent
REAL_DATA = Path(os.environ.get("PHASEGATE_REAL_DATA") or ROOT.parent / "shared" / "data")
needs_data = pytest.mark.skipif(
    not (REAL_DATA / "jmeter_apache/oracle.json").is_file(),
    reason="the real telemetry is not here; PHASEGATE_REAL_DATA names its folder",
)


@needs_data
@pytest.mark.parametrize("data", SETS[:1], ids=lambda data: data.name)  # `make oracles` replays the large one, too
def test_every_number_agrees_with_the_oracle(data: DataSet) -> None:
    windows, faults = differences(REAL_DATA, data)
    assert windows > 0
    assert faults == []


@needs_data
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"completed": 3214}, "20051116T030000Z: p95 samples is 3215, expected 3214"),
        ({"errors": 1}, "20051116T030000Z: saves is 3215, expected 3216"),
        ({"p95_ms": 1625.9999}, "20051116T030000Z: p95 is 1.6259999999999972, expected 1.6259999"),
        ({"p95_ms": None}, "20051116T030000Z: p95 is 1.6259999999999972, expected None"),
        ({"p95_exceeds": True}, "20051116T030000Z: p95 is warn, expected a violation"),
        ({"window": "20300101T000000Z"}, "20300101T000000Z: not replayed"),
    ],
)
def test_a_wrong_answer_is_seen(change: dict[str, object], expected: str, tmp_path: Path) -> None:
    jmeter = SETS[0]
    shutil.copytree(REAL_DATA / jmeter.name, tmp_path / jmeter.name)
    path = tmp_path / jmeter.name / "oracle.json"
    oracle = json.loads(path.read_text())
    row = next(row for row in oracle["windows"] if row["window"] == "20051116T030000Z")
    path.write_text(json.dumps(oracle | {"windows": [row | change]}))
    narrowed = DataSet(jmeter.name, jmeter.phase, (("2005-11-16T03:00:00Z", "2005-11-16T03:15:00Z"),))
    assert expected in differences(tmp_path, narrowed)[1]


def test_without_the_data_nothing_is_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(tmp_path) == 3
    assert "nothing was compared" in capsys.readouterr().out
