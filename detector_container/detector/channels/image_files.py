"""Channels of pictures and JSON documents: content type image/jpeg, image/png or application/x-image in File mode.

Each side has two channels, `train` with the pictures and `train_annotation` with a document per picture, whose `file`
names the picture relative to the channel of the pictures (the developer guide's page on the Object Detection
algorithm). Files whose names begin with a dot are none: what a Mac leaves beside a file (`._1.jpg`, `._1.json`) has its
suffix.
"""

from pathlib import Path, PurePosixPath
from typing import Any

from detector.channels.annotations import Annotation, AnnotationError, parse_annotation
from detector.channels.examples import Entries, Example, Unusable
from dropspot.errors import InvalidInputError

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})


def annotation_folder(folder: Path) -> Path:
    """Return the folder of the documents that belong to a channel of pictures."""
    return folder.with_name(f"{folder.name}_annotation")


def read_image_files(folder: Path) -> Entries:
    """Yield the pictures that documents name, in the order of the documents' paths, then those that none names.

    A document without its picture, with wrong JSON, or for a picture that another one names, and a picture without a
    document are unusable. Raises InvalidInputError where there is no document at all.
    """
    documents = annotation_folder(folder)
    paths = sorted(path for path in documents.rglob("*.json") if _is_visible_file(path))
    if not paths:
        reason = "has no .json document" if documents.is_dir() else "is missing"
        raise InvalidInputError(
            f"channel {documents.name} {reason}: the pictures of channel {folder.name} have their boxes there"
        )
    named: set[Path] = set()
    for path in paths:
        name = f"annotation {str(path.relative_to(documents))!r}"
        try:
            annotation = parse_annotation(path.read_bytes())
            picture = folder / _relative(annotation.file)
            if picture in named:
                raise AnnotationError("another annotation names the same file")
            named.add(picture)
            yield _example(name, annotation, picture)
        except AnnotationError as error:
            yield Unusable(name, str(error))
    for picture in sorted(pictures_in(folder)):
        if picture not in named:
            yield Unusable(f"picture {str(picture.relative_to(folder))!r}", "no annotation names it")


def pictures_in(folder: Path) -> list[Path]:
    """Return the files in a channel that are pictures by their names."""
    return [path for path in folder.rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES and _is_visible_file(path)]


def _is_visible_file(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".")


def _example(name: str, annotation: Annotation, picture: Path) -> Example:
    try:
        data = picture.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        raise AnnotationError(f"the file {_shown(annotation.file)} that it names is not in the channel") from error
    return Example(name, annotation.labels, annotation.label_width, data, picture.read_bytes, annotation.size)


def _relative(file: Any) -> PurePosixPath:
    """Return the path in the channel that a document names; raise AnnotationError for one outside of it."""
    if not isinstance(file, str) or not file:
        raise AnnotationError("its annotation has no text named file")
    path = PurePosixPath(file)
    if path.is_absolute() or ".." in path.parts:
        raise AnnotationError(f"its file {_shown(file)} is not a path in the channel")
    return path


def _shown(file: str) -> str:
    return repr(file if len(file) <= 80 else f"{file[:79]}…")
