"""Key points behind the boxes of YOLO labels, found out from all labels where no data.yaml states their `kpt_shape`.

Such a line is `class cx cy w h` and two or three values for each point: its place, and whether it is labelled (1),
visible too (2) or neither (0). All lines have the same number of values, and the points lie within their box. With the
third value nothing else looks like this, however few objects have points that are labelled. Where none is, zeros follow
the box, and no polygon has so many corners in one place. Without the third value, a polygon looks like this at times:
its first corner is then the centre of a box as large as its second corner is far from the picture's. Taken for a point,
though, that size lies among the others where it is a corner, and anywhere where it is a size. Boxes so large that they
hold it anyway stay in doubt.

Triangles and quadrilaterals, oriented boxes among them, are taken as what they are.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from prep.model import SourceFile
from prep.quarantine import Quarantine
from prep.units import FEW, SLACK

ALIKE = 0.95  # of the lines that look like a box with its key points; the others are broken
OVERHANG = 0.1  # of the box's side by which annotators let a point lie outside
AWAY = 0.5  # of the points' extent: no corner of a polygon, but a very sharp one, is further from all others
MOSTLY = 0.5  # of the lines in which the size, taken for a point, is so far away,
AT_TIMES = 0.2  # or of them where the centre is mostly in the middle besides
MIDDLE = 0.3  # of the points' extent that its middle is from the centre at most: a round polygon's corner is 0.35 away
POINTS = 3  # of two values: fewer are as likely a triangle or a quadrilateral
LINES = 10  # with points of two values, from which on they are told from polygons
EMPTY = 0.2  # of the lines with nothing but zeros behind the box: a few polygons may be cut off at the picture's corner

Shape = tuple[int, int]  # values behind the box, and how many of them are one point's
Point = tuple[float, float]


@dataclass(slots=True)
class KeyPoints:
    """What the lines of a data set have in common with boxes and their key points.

    `values` is how many values of key points follow each box, 0 where none do; `doubtful` says that they may be, but
    polygons explain the lines as well.
    """

    values: int = 0
    doubtful: bool = False
    _lines: int = 0
    _alike: Counter[Shape] = field(default_factory=Counter)
    _marked: Counter[Shape] = field(default_factory=Counter)  # lines with a point that is there
    _empty: Counter[Shape] = field(default_factory=Counter)  # lines with nothing but zeros behind the box
    _away: Counter[Shape] = field(default_factory=Counter)
    _middle: Counter[Shape] = field(default_factory=Counter)

    def take(self, values: Sequence[float]) -> bool:
        """Take the values behind one line's class; whether it is still possible that key points are among them."""
        self._lines += 1
        for each in (2, 3):
            points = _points(values, each)
            if points is not None:
                self._take(values, points, (len(values) - 4, each))
        return self._lines - max(self._alike.values(), default=0) <= FEW + (1 - ALIKE) * self._lines

    def _take(self, values: Sequence[float], points: Sequence[Point], shape: Shape) -> None:
        self._alike[shape] += 1
        self._empty[shape] += not any(values[4:])
        if points:
            self._marked[shape] += 1
            sides = list(zip(values[:2], values[2:4], zip(*points, strict=True), strict=True))
            spread = AWAY * max(max(*ends, centre) - min(*ends, centre) for centre, _, ends in sides)
            self._away[shape] += any(
                not min(*ends, centre) - spread <= size <= max(*ends, centre) + spread for centre, size, ends in sides
            )
            self._middle[shape] += all(
                abs((max(ends) + min(ends)) / 2 - centre) < MIDDLE * (max(ends) - min(ends))
                for centre, _, ends in sides
            )

    def decide(self) -> None:
        """Find `values` and `doubtful` from all lines taken."""
        for values, each in sorted(self._alike, key=lambda shape: -shape[1]):
            shape = values, each
            marked, empty = self._marked[shape], self._empty[shape]
            if self._alike[shape] < ALIKE * self._lines:
                continue
            away, middle = self._away[shape] / max(1, marked), self._middle[shape] / max(1, marked)
            told = away >= MOSTLY or (away >= AT_TIMES and middle >= MOSTLY)
            often = empty >= max(FEW, EMPTY * self._lines)
            if each == 3:
                sure = values % 2 == 1 or marked + empty >= FEW  # with an odd number they are no polygons anyway
                doubtful = True
            else:
                sure = values >= POINTS * each and (often or (told and marked >= LINES))
                doubtful = often or (marked >= FEW and ((told and values > each) or middle >= MOSTLY))
            if sure:
                self.values, self.doubtful = values, False
                return
            self.doubtful |= doubtful

    def remark(self, label: SourceFile, quarantine: Quarantine) -> None:
        """Say on the first label what was found."""
        if self.values:
            reason = f"the {self.values} values behind each box, as in the other labels, are key points and passed over"
            quarantine.remark(label.path, "key_points", reason)
        elif self.doubtful:
            reason = "its lines, as in the other labels, may be boxes with key points, but are read as polygons"
            quarantine.remark(label.path, "key_points", f"{reason}: state kpt_shape in a data.yaml if they are")


def _points(values: Sequence[float], each: int) -> list[Point] | None:
    """The key points that are there, of `each` values, behind a box that holds them; None where it is not so."""
    if len(values) <= 4 or (len(values) - 4) % each or not all(map(math.isfinite, values)):
        return None
    x, y, width, height = values[:4]
    inside = all(v - s / 2 >= -SLACK and v + s / 2 <= 1 + SLACK for v, s in ((x, width), (y, height)))
    if not (0 < width <= 1 and 0 < height <= 1 and inside):
        return None
    if each == 3 and not all(state in (0, 1, 2) for state in values[6::3]):
        return None
    rows = [values[i : i + each] for i in range(4, len(values), each)]
    points = [(row[0], row[1]) for row in rows if (row[2] if each == 3 else any(row))]
    reach_x, reach_y = (0.5 + OVERHANG) * width, (0.5 + OVERHANG) * height
    return points if all(abs(px - x) <= reach_x and abs(py - y) <= reach_y for px, py in points) else None
