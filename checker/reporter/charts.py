"""An SLO over time as SVG: its values, its threshold and warning line, the windows that are not met. No clock, no file.

Drawn by matplotlib, an extra. Colours are CSS variables with a fallback, so that a page gives them light or dark.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from checker.model import Status
from checker.units import plain

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
_MARKS = {Status.VIOLATION: (_VIOLATION, "X"), Status.ERROR: (_NODATA, "s"), Status.WARN: (_WARN, "o")}


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


@lru_cache(maxsize=64)
def svg(chart: Chart, *, width: float = 5.0, height: float = 1.8) -> str:
    """The chart as an SVG element, the same bytes for the same chart; sizes in inches. Raises NoCharts."""
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError:
        raise NoCharts from None
    settings: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": _salt(chart),
        "font.family": "sans-serif",
        "font.size": 9,
    }
    with mpl.rc_context(settings):
        figure = Figure(figsize=(width, height))
        figure.subplots_adjust(left=0.13, right=0.99, top=0.95, bottom=0.2)
        axes = figure.add_subplot()
        _draw(axes, chart)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _as_element(stream.getvalue(), described(chart))


def _salt(chart: Chart) -> str:
    return sha256(repr(chart).encode()).hexdigest()


def described(chart: Chart) -> str:
    """The chart in words, for those who do not see it."""
    values = [point.value for point in chart.points if point.value is not None]
    broken = sum(point.status is Status.VIOLATION for point in chart.points)
    span = f"{min(values):g} to {max(values):g} {chart.unit}" if values else "no value"
    return (
        f"{chart.title} over {len(chart.points)} windows: {span}; threshold {chart.threshold:g} {chart.unit};"
        f" {broken} violated"
    )


def _draw(axes: Axes, chart: Chart) -> None:
    import matplotlib.dates as mdates

    times = [point.at for point in chart.points]
    values = [float("nan") if point.value is None else point.value for point in chart.points]
    axes.axhline(chart.threshold, color=_LIMIT, linewidth=1.2)
    if chart.warn is not None:
        axes.axhline(chart.warn, color=_WARN, linewidth=1, linestyle=(0, (4, 3)))
    axes.plot(times, values, color=_LINE, linewidth=1.4, marker="." if len(times) < 40 else None)  # type: ignore[arg-type]
    for status, (ink, mark) in _MARKS.items():
        found = [
            (point.at, point.value) for point in chart.points if point.status is status and point.value is not None
        ]
        if found and (status is not Status.WARN or len(times) < 40):
            axes.plot(*zip(*found, strict=True), linestyle="none", marker=mark, color=ink, markersize=5)
    for point in chart.points:
        if point.value is None:
            axes.axvline(point.at, color=_NODATA, linewidth=0.6, alpha=0.35)  # type: ignore[arg-type]
    if times:
        axes.set_xlim(times[0], times[-1] if len(times) > 1 else None)  # type: ignore[arg-type]
    axes.set_ylim(bottom=min([0.0, *(value for value in values if value == value)]))
    locator: Any = mdates.AutoDateLocator(minticks=3, maxticks=7)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.locator_params(axis="y", nbins=4)
    axes.tick_params(colors=_INK, which="both", length=2)
    axes.set_ylabel(plain(chart.unit).replace("$", r"\$"), color=_INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(_FAINT)


def _as_element(document: str, description: str) -> str:
    """The `svg` element alone, told in words, its inks as CSS variables."""
    element = document[document.index("<svg") :].strip()
    for ink, (name, otherwise) in _INKS.items():
        element = element.replace(ink, f"var({name}, {otherwise})")
    element = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", element, flags=re.DOTALL)
    element = re.sub(r'<g id="[^"]*"', "<g", element)  # several charts stand in one page
    head, rest = element.split(">", 1)
    return f'{head} role="img"><title>{_escaped(description)}</title>{rest}\n'


def _escaped(text: str) -> str:
    return plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
