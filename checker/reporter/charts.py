"""An SLO over time as SVG, of one revision or of two: its values, its limits, its windows. No clock, no file.

Drawn by matplotlib, an extra. Colours are CSS variables with a fallback, so that a page gives them light or dark.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Iterator, Sequence
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
    "#080808": ("--before", "#7c3aed"),
}
_INK, _FAINT, _LINE, _LIMIT, _WARN, _VIOLATION, _NODATA, _BEFORE = _INKS
_BANDS = {Status.VIOLATION: (_VIOLATION, 0.25), Status.ERROR: (_NODATA, 0.4), Status.NO_DATA: (_NODATA, 0.2)}
_MARKS = {Status.VIOLATION: (_VIOLATION, "X"), Status.ERROR: (_NODATA, "s"), Status.WARN: (_WARN, "o")}
_WIDTH = 4.4  # inches
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
def svg(chart: Chart, *, width: float = _WIDTH, height: float = 1.9) -> str:
    """The chart as an SVG element, the same bytes for the same chart; sizes in inches. Raises NoCharts."""
    drawn = _drawn(lambda axes: _draw(axes, chart), repr(chart), (width, height))
    return _as_element(drawn, described(chart), chart.unit)


@lru_cache(maxsize=64)
def svg_both(before: Chart, after: Chart, *, width: float = 9.0, height: float = 2.2) -> str:
    """Values and thresholds of two revisions over the same windows: base dashed, head solid. Raises NoCharts.

    Windows that are judged differently have a band. Where both have the same values these are drawn once.
    """
    drawn = _drawn(lambda axes: _draw_both(axes, before, after), repr((before, after)), (width, height))
    return _as_element(drawn, f"base: {described(before)}. head: {described(after)}", after.unit)


def _drawn(draw: Callable[[Axes], None], shown: str, size: tuple[float, float]) -> str:
    """What matplotlib makes of it, with ids that depend on what is shown alone."""
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError:
        raise NoCharts from None
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": _salt(shown), "font.size": 10} | _NOT_RESET
    with mpl.rc_context():
        mpl.rcdefaults()  # a matplotlibrc in the current folder, which may be a stranger's, has no say
        mpl.rcParams.update(settings)
        figure = Figure(figsize=size)
        share = _WIDTH / size[0]
        figure.subplots_adjust(left=0.12 * share, right=1 - 0.015 * share, top=0.88, bottom=0.2)
        draw(figure.add_subplot())
        stream = io.StringIO()
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return stream.getvalue()


def _salt(shown: str) -> str:
    return sha256(shown.encode("utf-8", "backslashreplace")).hexdigest()


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
    step = _step(chart)
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


def _draw_both(axes: Axes, before: Chart, after: Chart) -> None:
    step = _step(after)
    status = {point.at: point.status for point in before.points}
    flipped = [point.at for point in after.points if status.get(point.at, point.status) is not point.status]
    for start, end in _spans(flipped, step):
        axes.axvspan(start, end, color=_WARN, alpha=0.25, linewidth=1)  # type: ignore[arg-type]
    reached: list[float] = []
    values = [_drawable(point.value) for point in after.points]
    earlier = [_drawable(point.value) for point in before.points]
    is_same = repr(values) == repr(earlier)  # NaN is no NaN's equal
    sides: Any = ((before, earlier, _BEFORE, _BEFORE, (0, (4, 3))), (after, values, _LINE, _LIMIT, "-"))
    for chart, told, ink, limit_ink, dashes in sides:
        limit = _drawable(chart.threshold)
        if limit == limit:
            axes.axhline(limit, color=limit_ink, linewidth=1.3, linestyle=dashes)
        if chart is after or not is_same:
            axes.plot([point.at for point in chart.points], told, color=ink, linewidth=1.4, linestyle=dashes)
        reached += [value for value in (limit, *told) if value == value]
    if after.points:
        axes.set_xlim(after.points[0].at - step / 2, after.points[-1].at + step / 2)  # type: ignore[arg-type]
    axes.set_ylim(*_reach(reached))
    _dress(axes)


def _step(chart: Chart) -> timedelta:
    return chart.points[1].at - chart.points[0].at if len(chart.points) > 1 else timedelta(minutes=15)


def _spans(instants: Sequence[datetime], step: timedelta) -> Iterator[tuple[datetime, datetime]]:
    """Where windows in a row lie, from half a step before the first to half a step after the last."""
    numbered = groupby(enumerate(instants), key=lambda item: item[1] - item[0] * step)
    for _, run in numbered:
        starts = [instant for _, instant in run]
        yield starts[0] - step / 2, starts[-1] + step / 2


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


def _as_element(document: str, told: str, unit_name: str) -> str:
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
    unit = f'<text x="2" y="11" font-size="10" fill="var(--ink, #1f2937)">{_escaped(unit_name)}</text>'
    title = f"<title>{_escaped(told)}</title>"
    return f'{head} role="img" font-family="system-ui, sans-serif" stroke-linejoin="round">{title}{unit}{rest}\n'


def _as_attributes(style: re.Match[str]) -> str:
    declared = (declaration.split(": ", 1) for declaration in style[1].split("; ") if declaration)
    return "".join(f' {name}="{value}"' for name, value in declared if name != "font-family")


def _escaped(text: str) -> str:
    return plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
