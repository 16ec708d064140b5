"""What no annotation describes: pictures, and names on lists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol

from prep.kinds import suffix
from prep.lists import GivenLists, withheld
from prep.model import Annotation, SourceFile, stem
from prep.naming import fold, part_of_place, path_parts
from prep.quarantine import Quarantine

NOT_AN_IMAGE = "its content is no picture in a known format"
_NO_LABEL = (
    "it has no label file, which in YOLO's layout says that it shows no object; most pictures beside it have one"
)


class _Pair(Protocol):
    @property
    def picture(self) -> SourceFile: ...

    @property
    def annotation(self) -> Annotation: ...


def leave_out_single_pictures(
    pictures: Sequence[SourceFile],
    pairs: Mapping[str, _Pair],
    refused: Mapping[str, str],
    listed: GivenLists,
    quarantine: Quarantine,
) -> None:
    """Leave out the pictures that are in no pair. `refused` names the unreadable annotations of some of them."""
    test_annotated = any(_in_test_folder(pair.picture) for pair in pairs.values())
    background = _background(pictures, pairs, quarantine)
    for picture in pictures:
        if picture.path in pairs:
            continue
        naming = listed.naming(picture.path)
        if not picture.image_format:
            quarantine.leave_out(picture.path, "not_an_image", NOT_AN_IMAGE)
        elif picture.path in refused:
            reason = f"{refused[picture.path]}, which should describe it, cannot be used"
            quarantine.leave_out(picture.path, "no_annotation", reason)
        elif picture.path in background and not withheld(naming):
            quarantine.leave_out(picture.path, "no_object", _NO_LABEL, deliberate=True)
        elif naming:
            reason = f"named in {', '.join(naming)}, but no annotation describes it"
            quarantine.leave_out(picture.path, "listed_without_annotation", reason, deliberate=withheld(naming))
        elif not test_annotated and _in_test_folder(picture):
            reason = "no annotation describes it, nor any other picture of the data set's test folder or archive"
            quarantine.leave_out(picture.path, "no_annotation", reason, deliberate=True)
        else:
            quarantine.leave_out(picture.path, "no_annotation", "no annotation describes it")


def _in_test_folder(picture: SourceFile) -> bool:
    return part_of_place(picture.path, picture.archive) == "test"


def _background(pictures: Sequence[SourceFile], pairs: Mapping[str, _Pair], quarantine: Quarantine) -> set[str]:
    """The pictures whose missing label means that they show nothing, as Ultralytics reads the layout.

    They lie among pictures with YOLO labels alone. Where fewer than half of a folder have one, labelling is more
    likely to be unfinished than the rest to be empty; and a label that is there but is not used is not missing.
    """
    labelled = Counter(_folder(path) for path, pair in pairs.items() if pair.annotation.layout == "yolo")
    others = {_folder(path) for path, pair in pairs.items() if pair.annotation.layout != "yolo"}
    unused = {
        fold(stem(entry.file.rpartition("/")[2]))
        for entry in quarantine.entries
        if entry.left_out and entry.box is None and suffix(entry.file) in ("txt", "xml", "json")
    }
    single = [picture for picture in pictures if picture.path not in pairs and picture.image_format]
    unlabelled = Counter(_folder(picture.path) for picture in single)
    return {
        picture.path
        for picture in single
        if (folder := _folder(picture.path)) not in others
        and labelled[folder] >= unlabelled[folder]
        and fold(picture.stem) not in unused
    }


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def leave_out_listed_names(described: set[str], listed: GivenLists, quarantine: Quarantine) -> None:
    """Names on lists that have neither a picture (which then has its own entry) nor one of the names `described`."""
    for name, lists in listed.missing.items():
        last = (path_parts(name) or [""])[-1]
        if fold(last) in described or fold(stem(last)) in described:
            continue
        reason = f"named in {', '.join(lists)}, but there is neither a picture nor an annotation"
        quarantine.leave_out(name, "listed_without_annotation", reason, deliberate=withheld(lists))
