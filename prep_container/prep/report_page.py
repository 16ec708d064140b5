"""report.html: the report for people, in one file that needs nothing else: no network, no script.

The template lies beside this module's package `page`. Names of classes and files come from strangers: everything is
escaped, shortened and counted, so that the page stays safe and small whatever the data set holds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from dropspot.preparation_plan import SPLITS
from prep.model import LabelledPicture
from prep.page import charts
from prep.page.contact_sheet import contact_sheet
from prep.page.words import counted, sentence, shown
from prep.quarantine import CODES, Entry, Quarantine

MOST_CLASSES = 40
MOST_EXAMPLES = 3
MOST_WARNINGS = 8  # that are shown at once; the others wait folded

_MEANING = {
    "train": "learned from",
    "validation": "watched during training",
    "test": "held out for the final score",
}
_OUTPUTS = {"recordio": "RecordIO", "image": "images with JSON", "augmented-manifest": "an augmented manifest"}
_UNITS = {"pixel": "pixels", "ratio": "fractions of the picture", "percent": "percentages of the picture"}


@dataclass(frozen=True, slots=True)
class ClassRow:
    """A class's boxes in all and per part; `shares` are the lengths of its bars in percent of the longest.

    `rest` marks the sum of many classes, which has no bar: it would dwarf all others.
    """

    name: str
    total: int
    boxes: dict[str, int]
    shares: dict[str, float]
    rest: bool = False


@dataclass(frozen=True, slots=True)
class CodeRow:
    """What was left out or remarked on for one reason."""

    code: str
    meaning: str
    count: int
    deliberate: int
    examples: tuple[tuple[str, str], ...]


def write_report_page(
    path: Path, report: Mapping[str, Any], shared: Mapping[str, Sequence[LabelledPicture]], quarantine: Quarantine
) -> None:
    """Write the page on a report made by `build_report`, from the same pictures and quarantine.

    The pictures' payloads must still be there. The same report gives the same bytes.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    html = environment.get_template("report.html.j2").render(_context(report, shared, quarantine))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(html + "\n", encoding="utf-8", newline="\n")


def _context(
    report: Mapping[str, Any], shared: Mapping[str, Sequence[LabelledPicture]], quarantine: Quarantine
) -> dict[str, Any]:
    every = [picture for side in SPLITS for picture in shared[side]]
    images, splits = report["images"], report["splits"]
    warnings = [shown(warning, 400) for warning in report["warnings"]]  # `build_report` bounds their number
    return {
        "images": images,
        "boxes": sum(split["boxes"] for split in splits.values()),
        "class_count": len(report["classes"]),
        "output": _OUTPUTS[report["output"]],
        "warnings": warnings[:MOST_WARNINGS],
        "folded_warnings": warnings[MOST_WARNINGS:],
        "sides": SPLITS,
        "parts": [_part(side, report) for side in SPLITS],
        "division": sentence(report["split"]["reason"]),
        "classes": class_rows(report["classes"]),
        "charts": [charts.box_sizes(every), charts.box_ratios(every), charts.picture_sizes(every)],
        "area": charts,
        "sheet": contact_sheet(shared, {entry["name"]: entry["class_id"] for entry in report["classes"]}),
        "layouts": list(_layouts(report)),
        "tables": [
            ("Left out", list(code_rows(quarantine, left_out=True))),
            ("Used, with a remark", list(code_rows(quarantine, left_out=False))),
        ],
        "samples": report["num_training_samples"],
        "label_width": report["label_width"],
        "digest": report["digest"],
        "counted": counted,
    }


def _part(side: str, report: Mapping[str, Any]) -> dict[str, Any]:
    split = report["splits"][side]
    return {
        "name": side,
        "meaning": _MEANING[side],
        **split,
        "share": split["images"] / max(1, report["images"]["used"]),
        "mean_boxes": split["boxes"] / max(1, split["images"]),
        "classes": sum(entry["boxes"][side] > 0 for entry in report["classes"]),
    }


def class_rows(classes: Sequence[Mapping[str, Any]]) -> list[ClassRow]:
    """The classes with the most boxes first; those beyond MOST_CLASSES are summed up in one row."""
    ordered = sorted(classes, key=lambda entry: (-sum(entry["boxes"].values()), entry["class_id"]))
    named = [(shown(entry["name"]), entry["boxes"], False) for entry in ordered[:MOST_CLASSES]]
    if rest := ordered[MOST_CLASSES:]:
        summed = {side: sum(entry["boxes"][side] for entry in rest) for side in SPLITS}
        named.append((counted(len(rest), "other class", "other classes"), summed, True))
    longest = max((sum(boxes.values()) for _, boxes, is_rest in named if not is_rest), default=0) or 1
    return [
        ClassRow(
            name,
            sum(boxes.values()),
            dict(boxes),
            {side: 0.0 if is_rest else round(100 * boxes[side] / longest, 2) for side in SPLITS},
            is_rest,
        )
        for name, boxes, is_rest in named
    ]


def code_rows(quarantine: Quarantine, *, left_out: bool) -> Iterator[CodeRow]:
    """The codes with the most entries first, each with its first few entries as examples."""
    entries = defaultdict[str, list[Entry]](list)
    for entry in quarantine.sorted():
        if entry.left_out is left_out:
            entries[entry.code].append(entry)
    for code, alike in sorted(entries.items(), key=lambda item: (-len(item[1]), item[0])):
        examples = tuple((_place(entry), shown(entry.reason, 160)) for entry in alike[:MOST_EXAMPLES])
        yield CodeRow(code, CODES[code], len(alike), sum(entry.deliberate for entry in alike), examples)


def _place(entry: Entry) -> str:
    item = f", {shown(entry.item, 40)}" if entry.item else ""
    box = "" if entry.box is None else f", box {entry.box}"
    return f"{shown(entry.file, 80)}{item}{box}"


def _layouts(report: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """A sentence for each layout: how many annotations, how their boxes were understood, and why."""
    for layout, count in report["layouts"].items():
        stated = report["conventions"].get(layout)
        meaning = "no box of theirs is used" if stated is None else f"boxes in {_convention(stated)}"
        evidence = "" if stated is None else sentence(str(stated["evidence"]))
        yield {"name": layout, "count": counted(count, "annotation"), "meaning": meaning, "evidence": evidence}


def _convention(stated: Mapping[str, Any]) -> str:
    units = _UNITS[stated["units"]]
    if stated["units"] != "pixel":
        return units
    inside = ", up to the last one inside" if stated["last_pixel_inside"] else ""
    return f"{units} counted from {stated['first_pixel']}{inside}"
