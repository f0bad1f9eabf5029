"""An SLO over time as SVG: its values, its threshold and warning line, the windows that are not met. No clock, no file.

Drawn by matplotlib, an extra. Colours are CSS variables with a fallback, so that a page gives them light or dark.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from itertools import groupby
from typing import TYPE_CHECKING, Any

from checker.analyzer.judge import JudgedWindow
from checker.model import Status
from checker.policy.model import Slo
from checker.units import counted, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INSTALL = "pip install 'phasegate[charts]'"
# What matplotlib is given, and what stands in the SVG for it.
_INKS = {
    "#010101": ("--ink", "#1f2937"),
    "#020202": ("--faint", "#9ca3af"),
    "#030303": ("--line", "#2563eb"),
    "#040404": ("--limit", "#b91c1c"),
    "#050505": ("--warn", "#b45309"),
    "#060606": ("--violation", "#dc2626"),
    "#070707": ("--nodata", "#6b7280"),
}
_INK, _FAINT, _LINE, _LIMIT, _WARN, _VIOLATION, _NODATA = _INKS
_BANDS = {Status.VIOLATION: (_VIOLATION, 0.25), Status.ERROR: (_NODATA, 0.4), Status.NO_DATA: (_NODATA, 0.2)}
_MARKS = {Status.VIOLATION: (_VIOLATION, "X"), Status.ERROR: (_NODATA, "s"), Status.WARN: (_WARN, "o")}
_FEW = 40  # points, up to which each is marked
_TOO_LARGE = 1e100  # no axis goes so far; what lies beyond is judged, and not drawn
_NOT_RESET = {"timezone": "UTC", "date.epoch": "1970-01-01T00:00:00"}  # matplotlib's rcdefaults() leaves these alone
_STYLE = re.compile(r' style="((?:[a-z-]+: [^";:<>]+(?:; )?)+)"')


class NoCharts(Exception):
    """The charting library is not installed; the text says how to install it."""

    def __init__(self) -> None:
        super().__init__(f"no charts: {INSTALL}")


@dataclass(frozen=True, slots=True)
class Point:
    """A window's start (UTC), its value in the SLO's unit (None where it has none), and how it was judged."""

    at: datetime
    value: float | None
    status: Status


@dataclass(frozen=True, slots=True)
class Chart:
    """What is drawn: points in order, the threshold and the warning line (None for none) in `unit`."""

    title: str
    unit: str
    points: tuple[Point, ...]
    threshold: float
    warn: float | None = None


def slo_chart(slo: Slo, windows: Sequence[JudgedWindow]) -> Chart:
    """An SLO over these windows, with what the newest of them was held against; some of them was judged by it."""
    rows = [(item.window, row) for item in windows for row in item.judgements if row.slo == slo.name]
    points = tuple(Point(window.start, row.value, row.status) for window, row in rows)
    threshold = rows[-1][1].threshold
    return Chart(slo.title, slo.unit, points, threshold.limit, threshold.warn_limit)


@lru_cache(maxsize=64)
def svg(chart: Chart, *, width: float = 4.4, height: float = 1.9) -> str:
    """The chart as an SVG element, the same bytes for the same chart; sizes in inches. Raises NoCharts."""
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError:
        raise NoCharts from None
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": _salt(chart), "font.size": 10} | _NOT_RESET
    with mpl.rc_context():
        mpl.rcdefaults()  # a matplotlibrc in the current folder, which may be a stranger's, has no say
        mpl.rcParams.update(settings)
        figure = Figure(figsize=(width, height))
        figure.subplots_adjust(left=0.12, right=0.985, top=0.88, bottom=0.2)
        _draw(figure.add_subplot(), chart)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _as_element(stream.getvalue(), chart)


def _salt(chart: Chart) -> str:
    return sha256(repr(chart).encode("utf-8", "backslashreplace")).hexdigest()


def described(chart: Chart) -> str:
    """The chart in words, for those who do not see it."""
    values = [point.value for point in chart.points if point.value is not None and math.isfinite(point.value)]
    broken = sum(point.status is Status.VIOLATION for point in chart.points)
    span = f"{min(values):g} to {max(values):g} {chart.unit}" if values else "no value"
    warn = "" if chart.warn is None else f", warning line {chart.warn:g}"
    return (
        f"{chart.title} over {counted(len(chart.points), 'window')}: {span};"
        f" threshold {chart.threshold:g}{warn} {chart.unit}; {broken} violated"
    )


def _draw(axes: Axes, chart: Chart) -> None:
    points = [(point.at, _drawable(point.value), point.status) for point in chart.points]
    step = chart.points[1].at - chart.points[0].at if len(points) > 1 else timedelta(minutes=15)
    both: Any = ((chart.threshold, _LIMIT, "-"), (chart.warn, _WARN, (0, (4, 3))))
    lines = [(_drawable(line), ink, dashes) for line, ink, dashes in both if _drawable(line) == line]
    for line, ink, dashes in lines:
        axes.axhline(line, color=ink, linewidth=1.3, linestyle=dashes)
    for status, start, end in _runs(chart.points):
        ink, alpha = _BANDS[status]
        axes.axvspan(start - step / 2, end + step / 2, color=ink, alpha=alpha, linewidth=1)  # type: ignore[arg-type]
    is_short = len(points) < _FEW
    line_of: Any = ([at for at, _, _ in points], [value for _, value, _ in points])
    axes.plot(*line_of, color=_LINE, linewidth=1.4, marker="." if is_short else None)
    for status, (ink, mark) in _MARKS.items():
        found: Any = [(at, value) for at, value, judged in points if judged is status and value == value]
        if found and (status is not Status.WARN or is_short):
            axes.plot(*zip(*found, strict=True), linestyle="none", marker=mark, color=ink, markersize=5)
    if points:
        axes.set_xlim(points[0][0] - step / 2, points[-1][0] + step / 2)  # type: ignore[arg-type]
    axes.set_ylim(*_reach([*(line for line, _, _ in lines), *(value for _, value, _ in points if value == value)]))
    _dress(axes)


def _drawable(value: float | None) -> float:
    """The value, NaN where there is none that an axis can reach."""
    return value if value is not None and abs(value) < _TOO_LARGE else math.nan


def _runs(points: Sequence[Point]) -> Iterator[tuple[Status, datetime, datetime]]:
    """Where windows in a row were judged alike and have a band: the status, the first's start and the last's."""
    for status, run in groupby(points, key=lambda point: point.status):
        if status in _BANDS:
            starts = [point.at for point in run]
            yield status, starts[0], starts[-1]


def _reach(values: Sequence[float]) -> tuple[float, float]:
    """Lower and upper end of the axis: from 0, unless all lies far away from it, as a share of 99.5 % does."""
    low, high = min(values, default=0.0), max(values, default=0.0)
    if low == high == 0:
        return -0.05, 1.0
    starts_at_0 = 0 <= low <= 0.5 * high
    room = 0.08 * (high if starts_at_0 else max(high - low, 0.02 * abs(high)))
    below = room / 2 if low == 0 else 0.0  # a line at 0 is not to lie under the axis
    return (-below if starts_at_0 else low - room), high + room


def _dress(axes: Axes) -> None:
    import matplotlib.dates as mdates

    locator: Any = mdates.AutoDateLocator(minticks=3, maxticks=7)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.locator_params(axis="y", nbins=4)
    axes.tick_params(colors=_INK, which="both", length=2)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(_FAINT)


def _as_element(document: str, chart: Chart) -> str:
    """The `svg` element alone, told in words, its inks as CSS variables, its styles as attributes.

    A page whose policy allows no style but its own shows those. Words of others are put in here, and matplotlib, which
    would set some of them as formulas and has no letters for others, never sees them.
    """
    element = document[document.index("<svg") :].strip()
    for ink, (name, otherwise) in _INKS.items():
        element = element.replace(ink, f"var({name}, {otherwise})")
    element = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", element, flags=re.DOTALL)
    element = re.sub(r'<g id="[^"]*"', "<g", element)  # several charts stand in one page
    element = _STYLE.sub(_as_attributes, element)
    head, rest = element.split(">", 1)
    unit = f'<text x="2" y="11" font-size="10" fill="var(--ink, #1f2937)">{_escaped(chart.unit)}</text>'
    title = f"<title>{_escaped(described(chart))}</title>"
    return f'{head} role="img" font-family="system-ui, sans-serif" stroke-linejoin="round">{title}{unit}{rest}\n'


def _as_attributes(style: re.Match[str]) -> str:
    declared = (declaration.split(": ", 1) for declaration in style[1].split("; ") if declaration)
    return "".join(f' {name}="{value}"' for name, value in declared if name != "font-family")


def _escaped(text: str) -> str:
    return plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
