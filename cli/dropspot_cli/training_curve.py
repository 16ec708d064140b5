"""A training's curve as a picture: loss and validation mAP over the epochs, in one self-contained SVG file."""

import math
from collections.abc import Sequence
from html import escape

from dropspot_cli.metric_lines import Epoch

_WIDTH, _HEIGHT = 760, 300  # of one of the two diagrams, with its labels
_LEFT, _RIGHT, _TOP, _BOTTOM = 78, 24, 44, 52
# dark marks on white, or light ones on black, as the viewer prefers
_STYLE = """
svg { --paper: #ffffff; --ink: #1c2430; --faint: #d5dae1; --loss: #b3261e; --map: #0b62b0 }
@media (prefers-color-scheme: dark) {
  svg { --paper: #14181e; --ink: #e6e9ee; --faint: #3a424d; --loss: #ff8a80; --map: #7fbfff }
}
text { font: 13px system-ui, sans-serif; fill: var(--ink) }
.title { font-size: 15px; font-weight: 600 }
.paper { fill: var(--paper) }
.grid { stroke: var(--faint); stroke-width: 1 }
.axis { stroke: var(--ink); stroke-width: 1 }
.line { fill: none; stroke-width: 2; stroke-linejoin: round }
"""

Points = Sequence[tuple[float, float]]


def curve(epochs: Sequence[Epoch], best_epoch: int, overlap: float = 0.5) -> str:
    """Return the SVG's text. `best_epoch` is marked: the model has its weights; `overlap` is the mAP's threshold.

    Epochs are shown from 1. An epoch without a loss, or with one that isn't finite, has no point in the upper diagram.
    """
    losses = [(e.number + 1.0, e.loss) for e in epochs if e.loss is not None and math.isfinite(e.loss)]
    scores = [(e.number + 1.0, e.map50) for e in epochs if math.isfinite(e.map50)]
    last = max([2.0, *(e.number + 1.0 for e in epochs)])
    highest = max([loss for _, loss in losses], default=0.0) or 1.0  # of nothing but zeros the axis is as good
    steps = _ticks(0.0, highest)
    parts = [
        _diagram(0, "Training loss", "cross-entropy + smooth L1 (no unit)", losses, steps, last, "loss"),
        _diagram(
            _HEIGHT,
            f"Validation mAP@{overlap:g}",
            "mean average precision (0 to 1)",
            scores,
            [0.0, 0.2, 0.4, 0.6, 0.8, 1.0],
            last,
            "map",
            marked=best_epoch + 1.0,
        ),
    ]
    title = f"Training curve over {len(epochs)} epochs: loss, and validation mAP at overlap {overlap:g}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {2 * _HEIGHT}" '
        f'width="{_WIDTH}" height="{2 * _HEIGHT}" role="img">\n<title>{escape(title)}</title>\n'
        f"<style>{_STYLE}</style>\n"
        f'<rect class="paper" width="{_WIDTH}" height="{2 * _HEIGHT}"/>\n' + "".join(parts) + "</svg>\n"
    )


def _diagram(
    top: float, title: str, label: str, points: Points, steps: Sequence[float], last: float, kind: str, *,
    marked: float | None = None,
) -> str:  # fmt: skip
    """One diagram, its upper edge at `top`: the vertical axis goes over `steps`, the horizontal from 1 to `last`."""
    left, right = float(_LEFT), float(_WIDTH - _RIGHT)
    high, low = top + _TOP, top + _HEIGHT - _BOTTOM

    def x(epoch: float) -> float:
        return left + (epoch - 1) / (last - 1) * (right - left)

    def y(value: float) -> float:
        return low - (value - steps[0]) / (steps[-1] - steps[0]) * (low - high)

    parts = [_text(left, top + 26, title, "start", "title")]
    for step in steps:
        parts.append(_line(left, y(step), right, y(step), "grid"))
        parts.append(_text(left - 8, y(step) + 4, f"{step:g}", "end"))
    for epoch in _whole_ticks(last):
        parts.append(_line(x(epoch), low, x(epoch), low + 5, "axis"))
        parts.append(_text(x(epoch), low + 20, f"{epoch:g}", "middle"))
    parts += [_line(left, low, right, low, "axis"), _line(left, high, left, low, "axis")]
    parts.append(_text((left + right) / 2, low + 40, "epoch", "middle"))
    middle = (high + low) / 2
    parts.append(
        f'<text x="18" y="{middle:.1f}" text-anchor="middle" transform="rotate(-90 18 {middle:.1f})">'
        f"{escape(label)}</text>\n"
    )
    if not points:
        parts.append(_text((left + right) / 2, middle, "no epoch was finished", "middle"))
    path = " ".join(f"{x(epoch):.1f},{y(value):.1f}" for epoch, value in points)
    parts.append(f'<polyline class="line" stroke="var(--{kind})" points="{path}"/>\n')
    for epoch, value in points if len(points) <= 60 else []:
        parts.append(f'<circle cx="{x(epoch):.1f}" cy="{y(value):.1f}" r="2.5" fill="var(--{kind})"/>\n')
    for epoch, value in points:
        if epoch == marked:
            parts.append(
                f'<circle cx="{x(epoch):.1f}" cy="{y(value):.1f}" r="6" fill="none" stroke="var(--{kind})" '
                'stroke-width="2"/>\n'
            )
            parts.append(_text(right, top + 26, f"○ the model: epoch {epoch:g}, {value:.3f}", "end"))
    return "".join(parts)


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>\n'


def _text(x: float, y: float, text: str, anchor: str, kind: str = "") -> str:
    classed = f' class="{kind}"' if kind else ""
    return f'<text{classed} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>\n'


def _ticks(low: float, high: float) -> list[float]:
    """Four to six round numbers from `low` to the first one that is no less than `high`."""
    span = max(high - low, 1e-9) / 5
    magnitude = 10.0 ** math.floor(math.log10(span))
    step = next(factor * magnitude for factor in (1, 2, 2.5, 5, 10) if factor * magnitude >= span * (1 - 1e-9))
    return [low + index * step for index in range(math.ceil((high - low) / step - 1e-9) + 1)]


def _whole_ticks(last: float) -> list[float]:
    """Epochs to name: all of a few, else every so many, and the first."""
    if last <= 12:
        return [float(epoch) for epoch in range(1, int(last) + 1)]
    step = max(1, round(_ticks(0.0, last)[1]))
    return [1.0, *(float(epoch) for epoch in range(step, int(last) + 1, step) if epoch > 1)]
