"""evaluation.html: an evaluation for people, in one file. Made of the documents, so that it says what they say.

Labels and names of pictures come from strangers: the template escapes everything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from dropspot.scoring import CURVE_POINTS
from dropspot.worst_pictures import WorstPicture

Document = Mapping[str, Any]

MOST_ROWS = 60  # classes that are shown at once; the others wait folded
MOST_CELLS = 16  # classes in a confusion matrix; of more, the most frequent mistakes are listed
MOST_MISTAKES = 20
CHART, SPARK = (560, 320), (132, 48)  # the drawing areas of a curve, in units of the SVG's viewBox
_RULES = {
    "min_boxes": "held-out boxes, at least",
    "min_map50": "mAP@0.5, at least",
    "min_class_ap50": "AP@0.5 of every class, at least",
    "max_class_drop": "AP@0.5 of a class, not far below the champion's",
}


@dataclass(frozen=True, slots=True)
class ClassRow:
    """A class's figures beside the champion's, which are None where it doesn't know the class."""

    label: str
    boxes: int
    ap50: float | None
    voc07: float | None
    ap: float | None
    best: Document | None
    champion: float | None
    curve: str
    champion_curve: str

    @property
    def change(self) -> float | None:
        return self.ap50 - self.champion if self.ap50 is not None and self.champion is not None else None


@dataclass(frozen=True, slots=True)
class Cell:
    """A count of the confusion matrix; `share` of its row, which colours it, and whether it is a mistake."""

    count: int
    share: float
    wrong: bool


def evaluation_page(
    title: str,
    evaluation: Document,
    worst: Sequence[WorstPicture],
    champion: Document | None = None,
    verdict: Document | None = None,
) -> str:
    """Return the page. `champion` is its evaluation, `verdict` the run's verdict.json; both may be missing."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    rows = class_rows(evaluation, champion)
    context = {
        "title": title,
        "evaluation": evaluation,
        "champion": champion,
        "verdict": verdict,
        "rules": sorted(verdict["rules"], key=lambda rule: rule["passed"]) if verdict else [],
        "rule_names": _RULES,
        "rows": rows[:MOST_ROWS],
        "folded_rows": rows[MOST_ROWS:],
        "mean_curve": mean_curve(evaluation["classes"], *CHART),
        "champion_mean_curve": mean_curve(champion["classes"], *CHART) if champion else "",
        "chart": CHART,
        "spark": SPARK,
        "labels": [one["label"] for one in evaluation["classes"]],
        "matrix": confusion_matrix(evaluation) if len(evaluation["classes"]) <= MOST_CELLS else [],
        "mistakes": mistakes(evaluation),
        "missed": _background(evaluation, "detected"),
        "invented": _background(evaluation, "truth"),
        "sizes": [(size, found, _size(champion, size)) for size, found in evaluation["sizes"].items()],
        "worst": worst,
    }
    return environment.get_template("evaluation.html.j2").render(context) + "\n"


def class_rows(evaluation: Document, champion: Document | None) -> list[ClassRow]:
    """Return the classes, the worst first; those that could not be measured last."""
    known = {one["label"]: one for one in champion["classes"]} if champion else {}
    rows = [
        ClassRow(
            label=one["label"],
            boxes=one["boxes"],
            ap50=one["ap50"],
            voc07=one["ap50_voc07"],
            ap=one["ap"],
            best=one["best_f1"],
            champion=known.get(one["label"], {}).get("ap50"),
            curve=_steps([precision for _, precision, _ in one["curve"]], *SPARK),
            champion_curve=_steps(
                [precision for _, precision, _ in known.get(one["label"], {}).get("curve", [])], *SPARK
            ),
        )
        for one in evaluation["classes"]
    ]
    return sorted(rows, key=lambda row: (row.ap50 is None, row.ap50))


def mean_curve(classes: Sequence[Document], width: float, height: float) -> str:
    """Return the mean of the interpolated precisions at each recall, over the classes that have boxes, as points."""
    curves = [[precision for _, precision, _ in one["curve"]] for one in classes if one["boxes"]]
    if not curves:
        return ""
    padded = [curve + [0.0] * (CURVE_POINTS - len(curve)) for curve in curves]
    return _steps([sum(at) / len(padded) for at in zip(*padded, strict=True)], width, height)


def _steps(precisions: Sequence[float], width: float, height: float) -> str:
    """Return a curve over recalls from 0 as the points of a polyline; it falls to 0 where the recall ends."""
    points = [(recall / (CURVE_POINTS - 1), precision) for recall, precision in enumerate(precisions)]
    if points and len(points) < CURVE_POINTS:
        points.append((points[-1][0], 0.0))
    return " ".join(f"{recall * width:.1f},{(1 - precision) * height:.1f}" for recall, precision in points)


def confusion_matrix(evaluation: Document) -> list[list[Cell]]:
    """Return a row for each true class and one for background, a column for each detected class and one for missed."""
    size = len(evaluation["classes"]) + 1
    counts = [[0] * size for _ in range(size)]
    for cell in evaluation["confusion"]["cells"]:
        truth, detected = (size - 1 if cell[side] is None else cell[side] for side in ("truth", "detected"))
        counts[truth][detected] = cell["count"]
    return [
        [Cell(count, count / max(1, sum(row)), truth != detected) for detected, count in enumerate(row)]
        for truth, row in enumerate(counts)
    ]


def mistakes(evaluation: Document) -> list[Document]:
    """Return which classes were taken for which others most often, with labels in place of ids."""
    labels = [one["label"] for one in evaluation["classes"]]
    cells = [cell for cell in evaluation["confusion"]["cells"] if None not in (cell["truth"], cell["detected"])]
    wrong = sorted((cell for cell in cells if cell["truth"] != cell["detected"]), key=lambda cell: -cell["count"])
    return [
        {"truth": labels[cell["truth"]], "detected": labels[cell["detected"]], "count": cell["count"]}
        for cell in wrong[:MOST_MISTAKES]
    ]


def _background(evaluation: Document, side: str) -> int:
    """Return how many boxes nothing was detected for, or detections had nothing there."""
    return sum(cell["count"] for cell in evaluation["confusion"]["cells"] if cell[side] is None)


def _size(document: Document | None, size: str) -> float | None:
    return document["sizes"][size]["map"] if document else None
