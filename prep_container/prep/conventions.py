"""In which units, and counting from which pixel, a data set states its boxes: found out from the boxes themselves.

Layouts say nothing reliable about this. VOC XML comes in pixels that count from 1, from 0, in ratios and in percent;
YOLO files come in pixels. All annotations of one layout are judged together, against the decoded pictures:

- A box within 0 and 1 that has a fraction can only be a ratio. An annotation with nothing but such boxes is one of
  ratios whatever its neighbours are (`Conventions.units_of`), so a mixed data set is read file by file.
- Percent must show itself: enough boxes on enough large pictures, all within 0 and 100 and spread over that range. It
  is looked for among pixels as well (`prep.mixed_units`), where it can be in doubt.
- Everything else is what the layout nominally states: ratios in YOLO, pixels elsewhere.

Only pixels have a number to count from, and only layouts that state corners may mean the last pixel inside the box
rather than its edge. Where nothing decides between these, edges counted from 0 are off by a pixel at most. And only
pixels depend on the picture's size: where the pictures were shrunk or enlarged since, boxes refer to the size before
(`prep.stated_size`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dropspot.preparation_plan import BoxRules
from prep.mixed_units import Mixture, Place, percent_among_pixels, place
from prep.model import Annotation, StatedBox
from prep.stated_size import (
    ENLARGED,
    SHRUNK,
    enlarged_doubt,
    enlarged_evidence,
    misread_corners,
    shrunk_doubt,
    shrunk_evidence,
    size_before,
)
from prep.units import (
    FAR,
    FEW,
    FULL,
    NOMINAL_UNITS,
    PIXEL,
    RATIO,
    WHOLE_SHARE,
    Stated,
    corners_of,
    finite,
    is_ratio,
    units_of_all,
)

CORNER_LAYOUTS = frozenset({"voc"})  # the others state a size, which has no last pixel to be named
STRAY = 0.05  # as many touches against a convention as broken boxes explain, per touch for it


@dataclass(frozen=True, slots=True)
class Conventions:
    """How the boxes of one layout are read.

    `first_pixel` is the number of the leftmost and topmost pixel. `last_pixel_inside` says that xmax and ymax name the
    last pixel of the box and not its edge. `evidence` is one sentence for people. `fixed` is set where the plan says
    the units, so that no annotation is read in others. `apart` has the units of the annotations that are not read in
    the layout's own, by place; `scaled` has the changes, SHRUNK or ENLARGED, of the pictures whose boxes in pixels
    refer to the size stated. `warnings` are sentences on what a person should look at.
    """

    units: str
    first_pixel: int
    last_pixel_inside: bool
    evidence: str
    fixed: bool = False
    apart: Mapping[Place, str] = field(default_factory=dict)
    scaled: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()

    @property
    def document(self) -> dict[str, Any]:
        """The conventions as report.json states them."""
        return {
            "units": self.units,
            "first_pixel": self.first_pixel,
            "last_pixel_inside": self.last_pixel_inside,
            "evidence": self.evidence,
            **({"warnings": list(self.warnings)} if self.warnings else {}),
        }

    def units_of(self, annotation: Annotation) -> str:
        """The units of one annotation: its own where it can be nothing else, DOUBTFUL, or the layout's."""
        if self.fixed:
            return self.units
        return RATIO if is_ratio(annotation) else self.apart.get(place(annotation), self.units)

    def size_referred_to(self, annotation: Annotation, width: int, height: int) -> tuple[int, int]:
        """The size of the picture that boxes in pixels were drawn on."""
        return size_before(annotation, width, height, self.scaled)

    def edges(self, box: StatedBox, units: str, width: int, height: int) -> tuple[float, float, float, float]:
        """A box's edges in pixels from the top left corner of a picture of that size, not clipped to it."""
        if units != PIXEL:
            across, down = width / FULL[units], height / FULL[units]
            return box.xmin * across, box.ymin * down, box.xmax * across, box.ymax * down
        first, beyond = self.first_pixel, self.first_pixel - self.last_pixel_inside
        return box.xmin - first, box.ymin - first, box.xmax - beyond, box.ymax - beyond


def nominal(layout: str) -> Conventions:
    """What a layout means where nothing is known about the data."""
    return Conventions(NOMINAL_UNITS.get(layout, PIXEL), 0, False, "nothing was looked at: the layout's nominal units")


def conventions_by_layout(stated: Stated, rules: BoxRules) -> dict[str, Conventions]:
    """The conventions of every layout found, by name."""
    layouts: dict[str, list[tuple[Annotation, int, int]]] = defaultdict(list)
    for annotation, width, height in stated:
        layouts[annotation.layout].append((annotation, width, height))
    return {layout: conventions_of(layout, layouts[layout], rules) for layout in sorted(layouts)}


def conventions_of(layout: str, stated: Stated, rules: BoxRules) -> Conventions:
    """The conventions of all annotations of one layout.

    `stated` has each annotation with the width and height of its upright picture as decoded. What `rules` says is
    taken as said.
    """
    fixed = rules.units != "auto"
    units, evidence = (rules.units, "the plan says so") if fixed else units_of_all(layout, stated)
    mixture = Mixture() if fixed or units != PIXEL else percent_among_pixels(stated)
    first, inside, misread = 0, False, ""
    scaled: dict[str, str] = {}
    doubts: list[str] = []
    if units == PIXEL:
        numbered = [(a, w, h) for a, w, h in stated if fixed or not (is_ratio(a) or place(a) in mixture.units)]
        resized = {SHRUNK: shrunk_evidence(numbered), ENLARGED: enlarged_evidence(numbered)}
        scaled = {change: why for change, why in resized.items() if why}
        numbered = [(a, *size_before(a, w, h, scaled)) for a, w, h in numbered]
        doubts = [shrunk_doubt(numbered), enlarged_doubt(numbered)]  # what is scaled has the size stated by now
        misread = misread_corners(layout, numbered)
        first, inside, why = _pixels(layout, numbered, rules.first_pixel)
        evidence += "; ".join(["", why, *scaled.values()])
    if not fixed and units != RATIO and (ratios := sum(is_ratio(annotation) for annotation, _, _ in stated)):
        evidence += f"; mixed: {ratios} of {len(stated)} annotations state ratios and are read so"
    evidence += "".join(f"; {found}" for found in mixture.evidence)
    notes = (*mixture.evidence, mixture.warning, *scaled.values(), *doubts, misread)
    warnings = tuple(f"{layout}: {note}" for note in notes if note)
    return Conventions(units, first, inside, evidence, fixed, mixture.units, frozenset(scaled), warnings)


def far_off(box: StatedBox, units: str, size: tuple[int, int]) -> bool:
    """Whether a box cannot be meant in these units: it reaches more than a whole picture past the picture."""
    across, down = size if units == PIXEL else (FULL[units], FULL[units])
    return max(box.xmax / across, box.ymax / down) > FAR or min(box.xmin / across, box.ymin / down) < 1 - FAR


def _pixels(layout: str, stated: Stated, said: str) -> tuple[int, bool, str]:
    """The first pixel's number, whether the far corner names the last pixel inside, and why."""
    suffix = "" if said == "auto" else ", as the plan says"
    if layout not in CORNER_LAYOUTS:
        return int(said == "1"), False, f"left and top count from {int(said == '1')}{suffix}"
    touches = _Touches.of(stated)
    first, inside = 0, False
    why = "nothing decides from where pixels count, so corners are edges from 0, off by one at most"
    if said == "1" or (said == "auto" and touches.from_one):
        first, inside, why = 1, True, f"pixels count from 1 up to the last one inside{suffix}"
    elif touches.from_zero_inside:
        inside, why = True, f"pixels count from 0{suffix} up to the last one inside"
    elif said == "0" or touches.from_zero:
        why = f"corners are edges, counted from 0{suffix}"
    return first, inside, f"{why}: {touches.counts}"


@dataclass(frozen=True, slots=True)
class _Touches:
    """How many coordinates touch, or nearly touch, the bounds of their pictures.

    Objects that a picture cuts off heap up at its bounds, and the numbers on which they do name the bounds. A heap is
    told from chance by the number beside it, which must be met less often.
    """

    whole: bool  # coordinates are whole numbers, as a pixel's are
    at_zero: int
    at_one: int
    at_two: int
    at_last_but_one: int  # the picture's width or height less two
    at_last: int
    at_size: int

    @classmethod
    def of(cls, stated: Stated) -> _Touches:
        near: dict[float, int] = defaultdict(int)
        far: dict[float, int] = defaultdict(int)
        fractions = total = 0
        for box, width, height in _comparable(stated):
            fractions += sum(not float(corner).is_integer() for corner in corners_of(box))
            total += 4
            for start in (box.xmin, box.ymin):
                near[start] += 1
            for end in (box.xmax - width, box.ymax - height):
                far[end] += 1
        return cls(fractions <= (1 - WHOLE_SHARE) * total, near[0], near[1], near[2], far[-2], far[-1], far[0])

    @property
    def from_one(self) -> bool:
        """As VOC itself was published. LabelImg states edges but never a 0: read so, its boxes are a pixel too wide."""
        heaps = self.at_one > self.at_two and self.at_size > self.at_last
        return self.whole and heaps and min(self.at_one, self.at_size) >= FEW and self.at_zero <= STRAY * self.at_one

    @property
    def from_zero_inside(self) -> bool:
        """As arrays are indexed."""
        heaps = self.at_zero > self.at_one and self.at_last > self.at_last_but_one
        return self.whole and heaps and min(self.at_zero, self.at_last) >= FEW and self.at_size <= STRAY * self.at_last

    @property
    def from_zero(self) -> bool:
        """As edges are, which need not be whole numbers and reach from 0 to the size."""
        return not self.whole or min(self.at_zero, self.at_size) >= FEW

    @property
    def counts(self) -> str:
        kind = "" if self.whole else "with fractions, "
        return (
            f"{kind}{self.at_zero} near corners are 0 and {self.at_one} are 1, {self.at_last} far ones are the size "
            f"less one and {self.at_size} the size"
        )


def _comparable(stated: Stated) -> Iterable[tuple[StatedBox, int, int]]:
    """The boxes that refer to their picture as it is, and not to an earlier size of it."""
    for annotation, width, height in stated:
        if annotation.claimed_size in (None, (width, height)):
            for box in annotation.boxes:
                if finite(box):
                    yield box, width, height
