"""Pictures of kinds that are not read: what an annotation or a list says is about one of them, and not missing."""

from __future__ import annotations

from pathlib import Path

from prep.model import Kind, SourceFile
from prep.naming import Found, PictureIndex, fold
from prep.quarantine import Quarantine


class UnsupportedImages(PictureIndex):
    """Finds them by name as others are found, each with the reason why it was left out."""

    def __init__(self, quarantine: Quarantine) -> None:
        self.reasons = {entry.file: entry.reason for entry in quarantine.entries if entry.code == "unsupported_image"}
        files = [SourceFile(path, Kind.OTHER, Path(path)) for path in self.reasons]
        self.names = {fold(name) for file in files for name in (file.stem, file.name)}
        super().__init__(files)
        # They were not kept, to be compared: of several that fit equally well any is meant.
        self._contents = dict.fromkeys(self.reasons, b"")

    def reason(self, *found: Found | None) -> str:
        """Why an annotation that one of the pictures found goes with is lost, or "" where none is found."""
        path = next((each.picture.path for each in found if each), "")
        return f"{path}, its picture, cannot be used: {self.reasons[path]}" if path else ""
