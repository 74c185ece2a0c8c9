"""Figures as inline SVG and classes of colour: strings of numbers, no text from outside.

Shapes take their colours from the style sheet (``currentColor`` and classes), so that light and dark are one file.
All coordinates are whole numbers, and steps are drawn with relative commands, which keeps the page small.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from .data import COLUMNS, FLOOR, Listening, Real, Trace, mel

#: steps of the heat map's colour scale, 0 to 1 inclusive
STEPS = 10
#: upper ends of the classes of kept share that the strip under a spectrum tells apart
SHARES = (0.1, 0.4, 0.75, 1.0)
#: height of that strip
STRIP = 8


def heat_step(value: float | None) -> str:
    """The class of a heat map's cell: ``q0`` to ``q10``, or ``none``.

    Examples
    --------
    >>> heat_step(0.42), heat_step(None)
    ('q4', 'none')
    """
    return "none" if value is None else f"q{round(min(max(value, 0.0), 1.0) * STEPS)}"


def outline(levels: NDArray[np.int64], height: int = FLOOR) -> str:
    """The path of columns standing on the base line (int [COLUMNS]; -1: no column there)."""
    parts: list[str] = []
    edges = np.flatnonzero(np.diff(np.concatenate(([-2], levels))))
    stops = np.append(edges[1:], len(levels))
    before = -1
    for start, stop in zip(edges.tolist(), stops.tolist(), strict=True):
        level = int(levels[start])
        if level < 0:
            if before >= 0:
                parts.append(f"V{height}")
        elif before < 0:
            parts.append(f"M{start} {height}V{height - max(level, 1)}h{stop - start}")
        else:
            parts.append(f"v{max(before, 1) - max(level, 1)}h{stop - start}")
        before = level
    return "".join(parts) + (f"V{height}" if before >= 0 else "")


def strip(share: Real) -> Markup:
    """Paths of the strip that shows, by four strengths, what share of each column is kept."""
    classes = np.where(share > 0, np.searchsorted(SHARES, share) + 1, 0)
    edges = np.flatnonzero(np.diff(np.concatenate(([-1], classes))))
    stops = np.append(edges[1:], len(classes))
    paths: dict[int, str] = {}
    for start, stop in zip(edges.tolist(), stops.tolist(), strict=True):
        kind = int(classes[start])
        if kind:
            width = stop - start
            paths[kind] = paths.get(kind, "") + f"M{start} 0h{width}v{STRIP}h-{width}z"
    drawn = [Markup('<path class="k{}" d="{}"/>').format(kind, path) for kind, path in sorted(paths.items())]
    return Markup("").join(drawn)


def spectrum_svg(clip: int, trace: Trace, *, whole: bool = False) -> Markup:
    """A set's columns lit over the silhouette of the clip's spectrum, and the strip of kept share below.

    Parameters
    ----------
    clip : int
        Id that names the silhouette on the page.
    trace : Trace
    whole : bool
        The clip itself: draws the silhouette that the figures of its sets refer to.
    """
    if whole:
        silhouette = Markup('<path id="g{}" class="ghost" d="{}"/>').format(clip, outline(trace.level))
        return _svg("trace", FLOOR, silhouette)
    lit = Markup('<use class="ghost" href="#g{}"/><path class="lit" d="{}"/>').format(clip, outline(trace.level))
    return _svg("trace", FLOOR, lit) + _svg("strip", STRIP, strip(trace.share))


def _svg(name: str, height: int, content: Markup) -> Markup:
    """A drawing of COLUMNS x ``height`` units that fills its box; what it shows is said by the element around it."""
    return Markup(
        '<svg class="{}" viewBox="0 0 {} {}" preserveAspectRatio="none" aria-hidden="true" focusable="false">{}</svg>'
    ).format(name, COLUMNS, height, content)


def ticks(nyquist: float) -> list[tuple[float, str]]:
    """Ticks of the frequency axis as (place in percent, text): round frequencies, the last one in Hz.

    Examples
    --------
    >>> [text for _, text in ticks(8000)]
    ['0', '250', '500', '1k', '2k', '4k', '8 kHz']
    """
    wanted: list[float] = [
        hertz for hertz in (0, 250, 500, 1000, 2000, 4000, 8000, 16000, 32000, 64000) if hertz <= nyquist
    ]
    if mel(nyquist) - mel(wanted[-1]) > 0.06 * mel(nyquist):
        wanted.append(nyquist)
    texts = [f"{hertz / 1000:g}k" if hertz >= 1000 else f"{hertz:g}" for hertz in wanted]
    texts[-1] = f"{wanted[-1] / 1000:.3g} kHz" if wanted[-1] >= 1000 else f"{wanted[-1]:.3g} Hz"
    return [(round(float(100 * mel(hertz) / mel(nyquist)), 2), text) for hertz, text in zip(wanted, texts, strict=True)]


def listening_svg(lane: Listening, lanes: Sequence[Listening], height: int = 40) -> Markup:
    """One model's lane of *where the models listen*, to the common scale of all lanes."""
    top = max([float(other.share.max()) for other in lanes] + [1e-9])
    # a third of the columns, so that single bins neither vanish nor shout
    coarse = lane.share.reshape(-1, 3).max(axis=1).repeat(3)
    levels = np.where(coarse > 0, np.maximum(np.rint(coarse / top * height), 1), -1).astype(np.int64)
    return _svg("lane", height, Markup('<path class="lit" d="{}"/>').format(outline(levels, height)))


def number(value: float) -> str:
    """A whole number with thin spaces.

    Examples
    --------
    >>> number(24001).replace("\\u202f", "_")
    '24_001'
    """
    return f"{value:,.0f}".replace(",", "\u202f")


def percent(share: float | None) -> str:
    """A share in percent with about two digits.

    Examples
    --------
    >>> percent(0.0832).replace("\\u202f", " "), percent(0.00001).replace("\\u202f", " ")
    ('8.3 %', '<0.01 %')
    """
    if share is None:
        return "–"
    value = 100 * share
    if 0 < value < 0.01:
        return "<0.01\u202f%"
    if value < 1:
        text = f"{value:.2g}"
    else:
        text = f"{value:.1f}" if value < 10 else f"{value:.0f}" if value < 99.5 or value == 100 else f"{value:.1f}"
    return f"{text}\u202f%"


def share(value: float | None) -> str:
    """A share as 0.00 to 1.00, a dash where there is none."""
    return "–" if value is None else f"{value:.2f}"
