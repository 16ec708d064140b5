"""Everything that is left out, or used only with a remark: named, with a code and a reason."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

CODES: dict[str, str] = {
    # Files that are left out.
    "unsupported_file": "neither a picture nor an annotation this container reads",
    "unsupported_image": "a picture of a kind that is not read: convert it to JPEG or PNG",
    "unknown_layout": "a text of none of the annotation layouts that are read",
    "unsafe_member": "a link, a device or a name that leaves the folder",
    "unreadable_file": "a file or folder that the system does not let be read",
    "replaced_file": "a member of an archive whose path a loose file or a later member has",
    "file_too_large": "larger than any sensible picture or annotation",
    "bad_annotation": "an annotation, or one object of it, that cannot be read",
    "duplicate_annotation": "a second annotation of the same picture",
    "conflicting_annotation": "an annotation of which several archives hold different versions",
    "annotation_without_image": "an annotation whose picture is not there",
    "annotation_of_unsupported_image": "an annotation whose picture is of a kind that is not read",
    "ambiguous_image": "an annotation, or a name on a list, that fits several different pictures equally well",
    "outside_reference": "an annotation whose picture lies where the job's inputs do not reach",
    "too_many_boxes": "an annotation with an absurd number of objects",
    "listed_without_annotation": "named in one of the data set's lists, but without an annotation",
    # Pictures that are left out.
    "no_annotation": "a picture that no annotation describes",
    "not_an_image": "named like a picture, but the content is none",
    "corrupt_image": "a picture that cannot be decoded completely",
    "image_too_large": "a picture with more pixels than can be decoded safely",
    "no_usable_box": "a picture left with no box",
    "no_object": "a picture annotated as showing no object",
    "duplicate_image": "the same picture as another one, with the same boxes",
    # Boxes that are left out.
    "unknown_class": "an object of a class that the plan does not ask for",
    "degenerate_box": "a box less than a pixel wide or high, or with swapped corners",
    "box_outside": "a box that lies outside its picture",
    "crowd_object": "a box around a crowd, which the plan leaves out",
    "difficult_object": "an object marked as difficult, which the plan leaves out",
    "truncated_object": "an object marked as truncated, which the plan leaves out",
    # Remarks on what is used all the same.
    "wrong_extension": "the content is another format than the name says",
    "unreadable_exif": "the EXIF data cannot be read; taken as upright",
    "size_mismatch": "the annotation states another size than the picture has",
    "filename_mismatch": "the annotation names another picture than its own file name does",
    "class_id_mismatch": "a class's number and its name disagree",
    "key_points": "values behind the boxes of YOLO labels are, or may be, key points",
    "damaged_image": "decodes completely, but not cleanly; encoded anew",
    "not_listed": "in none of the lists that are followed; used for training",
    "split_conflict": "the same picture was given to different parts; used for the most protected one",
    "box_clipped": "a box reaching over the edge was cut at it",
    "conflicting_boxes": "the same picture as another one, with other boxes",
    "merged_annotation": "several entries of one file describe the picture; the boxes of all are used",
    "similar_classes": "names of classes that differ only in case; each is a class of its own",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of quarantine.jsonl.

    `box` is the object's index in its annotation where only a box is meant; `annotation` names the annotation that is
    left out together with a picture; `item` says which entry is meant of a file that describes many pictures (a line's
    number, an image's id, "" for the file as a whole); `left_out` is False for a remark on something that is used.
    `deliberate` marks what was never meant to be used, so that the plan's limit on losses does not count it.
    """

    file: str
    code: str
    reason: str
    box: int | None = None
    annotation: str | None = None
    left_out: bool = True
    deliberate: bool = False
    item: str = ""

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise ValueError(f"unknown quarantine code {self.code!r}")

    @property
    def place(self) -> str:
        """The file, and the entry of it that is meant."""
        return f"{self.file}, entry {self.item}" if self.item else self.file

    @property
    def document(self) -> dict[str, str | int | bool]:
        line: dict[str, str | int | bool] = {"file": self.file, "code": self.code, "reason": self.reason}
        if self.item:
            line["item"] = self.item
        if self.box is not None:
            line["box"] = self.box
        if self.annotation is not None:
            line["annotation"] = self.annotation
        if not self.left_out:
            line["left_out"] = False
        return line


@dataclass(slots=True)
class Quarantine:
    """Collects entries in any order and writes them in one."""

    entries: list[Entry] = field(default_factory=list)

    def leave_out(
        self,
        file: str,
        code: str,
        reason: str,
        *,
        box: int | None = None,
        annotation: str | None = None,
        deliberate: bool = False,
        item: str = "",
    ) -> None:
        """Record that a file, or one box of it, is not used."""
        self.entries.append(Entry(file, code, reason, box, annotation, deliberate=deliberate, item=item))

    def remark(self, file: str, code: str, reason: str, *, box: int | None = None, item: str = "") -> None:
        """Record something worth knowing about a file or box that is used."""
        self.entries.append(Entry(file, code, reason, box, left_out=False, item=item))

    def pictures_left_out(self, pictures: Iterable[str]) -> list[Entry]:
        """The entries that leave out a whole picture, given the paths of all pictures found."""
        known = set(pictures)
        return [e for e in self.sorted() if e.left_out and e.box is None and e.file in known]

    def counts(self, *, left_out: bool = True) -> dict[str, int]:
        """Entries per code: those that leave something out, or the remarks."""
        return dict(sorted(Counter(e.code for e in self.entries if e.left_out is left_out).items()))

    def sorted(self) -> list[Entry]:
        return sorted(self.entries, key=lambda e: (e.file, e.item, -1 if e.box is None else e.box, e.code, e.reason))

    def write(self, path: Path) -> None:
        """Write quarantine.jsonl: one JSON object a line, ordered by file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8", newline="\n") as lines:
            for entry in self.sorted():
                lines.write(json.dumps(entry.document, ensure_ascii=False) + "\n")
