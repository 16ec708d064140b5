"""Charts as shapes in a fixed drawing area: how large the boxes are, how wide, and what sizes the pictures have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log2, log10, sqrt

from prep.model import LabelledPicture
from prep.page.words import counted

# The drawing area, and the part of it between the axes, in the units of the SVG's viewBox.
WIDTH, HEIGHT = 360, 232
LEFT, RIGHT, TOP, BOTTOM = 46, 344, 28, 184

SIZE_BINS = 20
OCTAVES = 3  # that the ratios' axis reaches to either side of a square
BINS_PER_OCTAVE = 4
MOST_SIZES = 150  # distinct picture sizes drawn one by one; more are gathered into a grid
GRID = 24


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle by its upper left corner; `title` is what pointing at it shows."""

    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True, slots=True)
class Dot:
    """A circle by its middle; `title` is what pointing at it shows."""

    x: float
    y: float
    radius: float
    title: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A value on an axis, and where it stands."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """One figure; `summary` says in a sentence what it shows."""

    title: str
    summary: str
    x_label: str
    y_label: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    bars: tuple[Bar, ...] = ()
    dots: tuple[Dot, ...] = ()


def box_sizes(pictures: Iterable[LabelledPicture]) -> Chart:
    """How much of its picture a box covers: the square root of the share of area, so that it compares with a side."""
    sizes = sorted(sqrt((box.xmax - box.xmin) * (box.ymax - box.ymin)) for picture in pictures for box in picture.boxes)
    counts = Counter(min(floor(size * SIZE_BINS + 1e-9), SIZE_BINS - 1) for size in sizes)
    step = 100 // SIZE_BINS
    names = [f"{step * i} to {step * (i + 1)}%" for i in range(SIZE_BINS)]
    low, middle, high = (_quantile(sizes, q) for q in (0.1, 0.5, 0.9))
    return _histogram(
        [counts[i] for i in range(SIZE_BINS)],
        names,
        title="Box size",
        summary=f"Median {middle:.0%} of the picture's side; four of five boxes between {low:.0%} and {high:.0%}.",
        x_label="side of a box, as a share of its picture (root of area)",
        x_ticks=[(i * SIZE_BINS // 4, f"{25 * i}%") for i in range(5)],
    )


def box_ratios(pictures: Iterable[LabelledPicture]) -> Chart:
    """Width to height of the boxes in pixels, in octaves; what lies beyond the axis is gathered at its ends."""
    ratios = sorted(
        log2((box.xmax - box.xmin) * picture.width / ((box.ymax - box.ymin) * picture.height))
        for picture in pictures
        for box in picture.boxes
    )
    half = OCTAVES * BINS_PER_OCTAVE
    counts = Counter(min(max(floor(ratio * BINS_PER_OCTAVE), -half), half - 1) for ratio in ratios)
    names = [f"{_ratio(i / BINS_PER_OCTAVE)} to {_ratio((i + 1) / BINS_PER_OCTAVE)}" for i in range(-half, half)]
    wide = sum(ratio > 0 for ratio in ratios) / len(ratios)
    return _histogram(
        [counts[i] for i in range(-half, half)],
        names,
        title="Box shape",
        summary=f"Median {_ratio(_quantile(ratios, 0.5))}; {wide:.0%} of the boxes are wider than high.",
        x_label="width : height of a box, in pixels",
        x_ticks=[(half + i * BINS_PER_OCTAVE, _power(i)) for i in range(-OCTAVES, OCTAVES + 1)],
    )


def picture_sizes(pictures: Iterable[LabelledPicture]) -> Chart:
    """Width and height of the pictures as written; the area of a dot stands for how many have that size."""
    sizes = Counter((picture.width, picture.height) for picture in pictures)
    width, height = max(w for w, _ in sizes), max(h for _, h in sizes)
    x_values, y_values = _nice(width), _nice(height)
    common, times = min(sizes.items(), key=lambda item: (-item[1], item[0]))
    summary = f"{counted(len(sizes), 'size')}; the most frequent is {_size(*common)} ({times / sizes.total():.0%})."
    if len(sizes) == 1:
        summary = f"Every picture is {_size(*common)}."
    if len(sizes) > MOST_SIZES:
        cell = Counter[tuple[int, int]]()
        for (w, h), count in sizes.items():
            middles = (
                (floor(side * GRID / (top + 1)) + 0.5) * top / GRID
                for side, top in ((w, x_values[-1]), (h, y_values[-1]))
            )
            cell[tuple(round(middle) for middle in middles)] += count  # type: ignore[index]
        sizes = cell
    most = max(sizes.values())
    dots = tuple(
        Dot(
            _scaled(w, x_values[-1], LEFT, RIGHT),
            _scaled(h, y_values[-1], BOTTOM, TOP),
            max(2.5, 11 * sqrt(count / most)),
            f"{_size(w, h)}: {counted(count, 'picture')}",
        )
        for (w, h), count in sorted(sizes.items(), key=lambda item: (-item[1], item[0]))
    )
    return Chart(
        title="Picture size",
        summary=summary,
        x_label="width in pixels, as written",
        y_label="height in pixels",
        x_ticks=tuple(Tick(_scaled(v, x_values[-1], LEFT, RIGHT), f"{v:,}") for v in x_values),
        y_ticks=tuple(Tick(_scaled(v, y_values[-1], BOTTOM, TOP), f"{v:,}") for v in y_values),
        dots=dots,
    )


def _histogram(
    counts: Sequence[int], names: Sequence[str], *, title: str, summary: str, x_label: str,
    x_ticks: Sequence[tuple[int, str]],
) -> Chart:  # fmt: skip
    """Bars of equal width; `x_ticks` are the numbers of the bars at whose left edges they stand."""
    values = _nice(max(counts))
    slot = (RIGHT - LEFT) / len(counts)
    bars = []
    for i, (count, name) in enumerate(zip(counts, names, strict=True)):
        if count:
            y = min(_scaled(count, values[-1], BOTTOM, TOP), BOTTOM - 1.0)
            bars.append(
                Bar(LEFT + i * slot + 0.75, y, slot - 1.5, BOTTOM - y, f"{name}: {counted(count, 'box', 'boxes')}")
            )
    return Chart(
        title=title,
        summary=summary,
        x_label=x_label,
        y_label="boxes",
        x_ticks=tuple(Tick(LEFT + i * slot, label) for i, label in x_ticks),
        y_ticks=tuple(Tick(_scaled(v, values[-1], BOTTOM, TOP), f"{v:,}") for v in values),
        bars=tuple(bars),
    )


def _nice(most: int) -> list[int]:
    """Round values for an axis from 0 to at least `most`, four or five of them."""
    step = max(1, most / 4)
    power = 10 ** floor(log10(step))
    step = next(ceil(power * factor) for factor in (1, 2, 2.5, 5, 10) if power * factor >= step)
    return list(range(0, step * ceil(most / step) + 1, step))


def _scaled(value: float, most: float, low: float, high: float) -> float:
    return low + (high - low) * value / most


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(floor(share * len(ordered)), len(ordered) - 1)]


def _size(width: int, height: int) -> str:
    return f"{width} \N{MULTIPLICATION SIGN} {height}"


def _ratio(octaves: float) -> str:
    """A ratio as `1.4 : 1` or `1 : 1.4`."""
    larger = f"{2 ** abs(octaves):.2g}"
    return f"{larger} : 1" if octaves >= 0 else f"1 : {larger}"


def _power(octaves: int) -> str:
    return f"{2**octaves}:1" if octaves >= 0 else f"1:{2**-octaves}"
