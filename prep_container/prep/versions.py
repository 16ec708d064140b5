"""One annotation in several archives: versions between which nothing would choose but the archives' names.

Where they say the same, one is used. Where they don't, none is: a corrected version beside an old one must not be taken
or passed over by chance, and the picture is left out with both until one of the archives is taken away.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from prep.merging import leave_out_duplicate
from prep.model import Annotation, SourceFile, StatedBox
from prep.quarantine import Quarantine


@dataclass(slots=True)
class Versions:
    """The other versions of the annotations in use, by the path of their picture and by archive."""

    _of: dict[str, dict[str, list[Annotation]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))

    def take(self, used: Annotation, other: Annotation, picture: SourceFile) -> bool:
        """Whether the other annotation of a picture is a version of the one in use, which is then kept for `settle`."""
        if used.file.archive == other.file.archive or used.file.unpacked_path != other.file.unpacked_path:
            return False
        self._of[picture.path][other.file.archive].append(other)
        return True

    def settle(
        self, used: dict[str, list[Annotation]], pictures: Mapping[str, SourceFile], quarantine: Quarantine
    ) -> dict[str, str]:
        """Take the pictures away from `used` whose versions differ; returns an annotation of each by its path."""
        unsettled = {}
        for path, archives in self._of.items():
            others = [entry for entries in archives.values() for entry in entries]
            if all(_said(entries) == _said(used[path]) for entries in archives.values()):
                for other in others:
                    leave_out_duplicate(other, used[path][0], pictures[path], quarantine)
                continue
            named = ", ".join(sorted({used[path][0].file.archive, *archives}))
            unsettled[path] = others[0].file.unpacked_path
            for entry in (*used.pop(path), *others):
                reason = f"it says something else of {path} in each of {named}, and nothing tells which is right"
                quarantine.leave_out(entry.file.path, "conflicting_annotation", reason, item=entry.item)
        return unsettled


def _said(entries: Sequence[Annotation]) -> tuple[set[StatedBox], set[tuple[int, int] | None], set[str]]:
    """What one version says of the picture, in however many entries."""
    boxes = {replace(box, index=0) for entry in entries for box in entry.boxes}
    return boxes, {entry.claimed_size for entry in entries}, {entry.part for entry in entries}
