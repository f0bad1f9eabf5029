"""Charts: the same bytes wherever they are drawn, words of others as text alone, every value that a log can hold."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest

from checker.model import Status
from checker.reporter.charts import Chart, Point, described, svg

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
OWN_INKS = re.compile(r"var\(--[a-z]+, #[0-9a-f]{6}\)")


def chart(
    *values: float | None, status: Status = Status.OK, unit: str = "s", limit: float = 2.0, warn: float | None = 1.6
) -> Chart:
    """A chart of a window for each value; those without one are judged `status`."""
    points = (
        Point(FIRST + timedelta(minutes=15) * number, value, status if value is None else Status.OK)
        for number, value in enumerate(values)
    )
    return Chart("P95", unit, tuple(points), limit, warn)


@pytest.mark.parametrize(
    ("values", "limit"),
    [
        ([1e308, -1e308, 1.0], 2.0),
        ([float("inf"), float("nan"), 1.0], 2.0),
        ([5e-324, 1e-320], 0.0),
        ([None, None], 2.0),
        ([0.0], 0.0),
        ([1.0], 1e308),
        ([-5.0, -4.0], -3.0),
    ],
)
def test_every_value_that_a_query_can_return_has_its_chart(values: list[float | None], limit: float) -> None:
    drawn = svg(chart(*values, limit=limit))
    assert ElementTree.fromstring(drawn).tag == "{http://www.w3.org/2000/svg}svg"
    assert not re.search(r"\b(nan|inf)\b", drawn.split("</title>")[1])


@pytest.mark.parametrize("unit", ["$x^2$", "\\frac", "事件", "\u05d0", 'a" style="fill: red"', "<b>", "&amp;"])
def test_a_unit_is_text_and_nothing_else(unit: str) -> None:
    """No formula, and no letter that the library's own fonts would have to have; a warning would fail the test."""
    root = ElementTree.fromstring(svg(chart(1.0, unit=unit)))
    assert unit in [part.text for part in root.iter("{http://www.w3.org/2000/svg}text")]
    assert [part.tag for part in root.iter() if "style" in part.attrib] == []


def test_a_page_that_allows_no_style_but_its_own_shows_it() -> None:
    assert "style=" not in svg(chart(1.0, None, 2.5))


def test_colours_are_those_that_the_page_gives() -> None:
    drawn = svg(chart(1.0, None, 2.5, status=Status.VIOLATION))
    assert re.findall(r"#[0-9a-f]{6}\b", OWN_INKS.sub("", drawn)) == []
    assert {"--limit", "--warn", "--line", "--violation"} <= set(re.findall(r"--[a-z]+", drawn))


@pytest.mark.parametrize(
    ("status", "ink"), [(Status.VIOLATION, "--violation"), (Status.NO_DATA, "--nodata"), (Status.ERROR, "--nodata")]
)
def test_a_window_without_a_value_is_marked_as_it_was_judged(status: Status, ink: str) -> None:
    bands = re.findall(r'fill="var\((--[a-z]+), #[0-9a-f]{6}\)" opacity', svg(chart(1.0, None, 1.0, status=status)))
    assert bands == [ink]


def test_windows_in_a_row_that_were_judged_alike_have_one_band() -> None:
    drawn = svg(chart(1.0, None, None, None, 1.0, None, status=Status.VIOLATION))
    assert drawn.count('opacity="0.25"') == 2


def test_a_share_near_the_whole_is_not_drawn_from_nothing() -> None:
    """99.9 % against at least 99.5 % would be one flat line on an axis from 0."""
    drawn = svg(chart(99.9, 99.7, 99.2, unit="%", limit=99.5, warn=None))
    ticks = [float(text) for text in re.findall(r">(\d+\.\d+)</text>", drawn)]
    assert ticks
    assert min(ticks) > 90


def test_it_is_told_in_words() -> None:
    told = described(chart(1.0, 1.5, None, status=Status.VIOLATION))
    assert told == "P95 over 3 windows: 1 to 1.5 s; threshold 2, warning line 1.6 s; 1 violated"


def test_settings_that_lie_in_the_folder_have_no_say(tmp_path: Path) -> None:
    """matplotlib reads `matplotlibrc` from the current folder, which may be a stranger's checkout."""
    settings = ("axes.facecolor: red", "text.usetex: True", "timezone: Asia/Tokyo", "date.epoch: 1990-01-01T00:00:00")
    (tmp_path / "matplotlibrc").write_text("\n".join(settings))
    program = "from tests.test_charts import chart, svg; print(svg(chart(1.0, None, 2.5)), end='')"
    root = Path(__file__).parent.parent
    code = f"import sys; sys.path.insert(0, {str(root)!r}); {program}"
    drawn = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert drawn.stdout == svg(chart(1.0, None, 2.5))
