"""Images in the bucket, and the document that says what was seen in one (`dropspot/detections/1`)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dropspot.documents import timestamp
from dropspot.errors import InvalidInputError
from dropspot.predictions import are_finite

SCHEMA = "dropspot/detections/1"
PREFIX = "images/"
DETECTIONS_PREFIX = "detections/"
_SUFFIX = ".json"
_LONGEST_KEY = 1024  # bytes of UTF-8, S3's limit
_LITTER = {".ds_store", "thumbs.db", "desktop.ini"}

UNSUPPORTED_FORMAT = "unsupported_format"
CORRUPT_IMAGE = "corrupt_image"
TOO_LARGE = "too_large"
DECOMPRESSION_BOMB = "decompression_bomb"
EMPTY_OBJECT = "empty_object"
REFUSED_BY_MODEL = "refused_by_model"


class RejectedImageError(InvalidInputError):
    """The image can never be looked at as it is; `code` is one of this module's.

    `run_id` is that of the run whose model refused it, where that is certain.
    """

    def __init__(self, code: str, message: str, run_id: str | None = None) -> None:
        super().__init__(message)
        self.code, self.run_id = code, run_id


def is_image_key(key: str) -> bool:
    """Tell whether the key names an image by rule: not a folder's marker, nor what file managers leave behind."""
    name = key.rsplit("/", 1)[-1]
    return key.startswith(PREFIX) and name != "" and not name.startswith("._") and name.lower() not in _LITTER


@dataclass(frozen=True, slots=True)
class ImageRef:
    """An image in the bucket. Its detections lie under a key that no other image has."""

    bucket: str
    key: str

    @classmethod
    def from_key(cls, bucket: str, key: str) -> "ImageRef":
        """Return the image under the key; raise InvalidInputError where it is none, or its document's key too long."""
        if not is_image_key(key):
            raise InvalidInputError(f"{key} is no image: images lie under {PREFIX}")
        image = cls(bucket, key)
        if len(image.detections_key.encode()) > _LONGEST_KEY:
            raise InvalidInputError(f"{key} is too long: {image.detections_key} exceeds S3's {_LONGEST_KEY} bytes")
        return image

    @classmethod
    def from_detections_key(cls, bucket: str, key: str) -> "ImageRef":
        """Return the image that the document under the key describes; raise InvalidInputError where it is none."""
        if not key.startswith(DETECTIONS_PREFIX) or not key.endswith(_SUFFIX):
            raise InvalidInputError(f"{key} is no detections document")
        return cls.from_key(bucket, PREFIX + key.removeprefix(DETECTIONS_PREFIX).removesuffix(_SUFFIX))

    @property
    def detections_key(self) -> str:
        """The suffix is added, not exchanged: `cat.jpg` and `cat.png` keep documents of their own."""
        return DETECTIONS_PREFIX + self.key.removeprefix(PREFIX) + _SUFFIX


@dataclass(frozen=True, slots=True)
class Picture:
    """One version of an image. `width` and `height` are pixels of the upright picture, None where they aren't known.

    `size` is in bytes; `sequencer` is S3's, where the event that was handled is this very version's.
    """

    image: ImageRef
    etag: str
    version_id: str | None
    content_type: str
    size: int
    sequencer: str | None = None
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """The model that answered, and the least score that was kept: of each class where `class_thresholds` says so."""

    run_id: str
    endpoint_config: str
    classes: tuple[str, ...]
    score_threshold: float
    class_thresholds: tuple[float, ...] | None = None

    def keeps(self, class_id: int, score: float) -> bool:
        """Tell whether a detection of the class with this score is worth a line."""
        return score >= (self.score_threshold if self.class_thresholds is None else self.class_thresholds[class_id])


@dataclass(frozen=True, slots=True)
class Box:
    """Fractions of the upright picture's width and height, origin top left."""

    xmin: float
    ymin: float
    xmax: float
    ymax: float

    def clipped(self) -> "Box":
        """Return the part inside the picture."""
        return Box(*(round(min(max(side, 0.0), 1.0), 6) for side in (self.xmin, self.ymin, self.xmax, self.ymax)))

    @property
    def is_empty(self) -> bool:
        return self.xmin >= self.xmax or self.ymin >= self.ymax

    def pixels(self, width: int, height: int) -> dict[str, int]:
        """Return the box in whole pixels, at least one by one and inside a picture of this size."""
        left, right = _whole(self.xmin, self.xmax, width)
        top, bottom = _whole(self.ymin, self.ymax, height)
        return {"left": left, "top": top, "width": right - left, "height": bottom - top}


def _whole(low: float, high: float, length: int) -> tuple[int, int]:
    start = min(round(low * length), length - 1)
    return start, max(round(high * length), start + 1)


@dataclass(frozen=True, slots=True)
class Detection:
    """One object that was seen."""

    class_id: int
    score: float
    box: Box

    @classmethod
    def from_row(cls, row: Sequence[float]) -> "Detection":
        """Return the detection of a prediction's row, [class_id, score, xmin, ymin, xmax, ymax]; raise ValueError."""
        if len(row) != 6 or not are_finite(row):
            raise ValueError(f"prediction has a row that is none: {list(row)[:8]}")
        return cls(int(row[0]), round(float(row[1]), 6), Box(*row[2:]).clipped())


def kept_detections(rows: Iterable[Sequence[float]], model: Model) -> list[Detection]:
    """Return what reaches the threshold, highest score first.

    Rows below class 0 are padding. Raises ValueError for a row that is malformed or of a class the model doesn't have.
    """
    found = [d for d in (Detection.from_row(row) for row in rows) if d.class_id >= 0]
    if unknown := [d.class_id for d in found if d.class_id >= len(model.classes)]:
        raise ValueError(f"prediction has class {unknown[0]}, {model.run_id} has {len(model.classes)} classes")
    kept = [d for d in found if model.keeps(d.class_id, d.score) and not d.box.is_empty]
    # The order is total, so that the same answer always gives the same document.
    return sorted(kept, key=lambda d: (-d.score, d.class_id, d.box.xmin, d.box.ymin, d.box.xmax, d.box.ymax))


def detected_document(
    picture: Picture, model: Model, rows: Iterable[Sequence[float]], created_at: datetime
) -> dict[str, Any]:
    """Return the document of a picture that the model looked at; raise ValueError for a malformed prediction."""
    if picture.width is None or picture.height is None:
        raise ValueError(f"{picture.image.key} was looked at, but its size isn't known")
    detections = [
        {
            "label": model.classes[found.class_id],
            "class_id": found.class_id,
            "score": found.score,
            "box": {side: getattr(found.box, side) for side in ("xmin", "ymin", "xmax", "ymax")},
            "pixels": found.box.pixels(picture.width, picture.height),
        }
        for found in kept_detections(rows, model)
    ]
    return _document("detected", picture, model, detections, None, created_at)


def rejected_document(picture: Picture, rejection: RejectedImageError, created_at: datetime) -> dict[str, Any]:
    """Return the document of a picture that can't be looked at, with the reason."""
    reason = {"code": rejection.code, "message": str(rejection)}
    if rejection.run_id:
        reason["run_id"] = rejection.run_id
    return _document("rejected", picture, None, [], reason, created_at)


def judged_by(document: Mapping[str, Any]) -> str | None:
    """Return the id of the run whose model answered or refused; None where none was asked, or it isn't known."""
    word = document["model"] or document.get("rejection") or {}
    return word.get("run_id")


def _document(
    status: str,
    picture: Picture,
    model: Model | None,
    detections: list[dict[str, Any]],
    rejection: dict[str, str] | None,
    created_at: datetime,
) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "status": status,
        "image": {
            "bucket": picture.image.bucket,
            "key": picture.image.key,
            "etag": picture.etag,
            "version_id": picture.version_id,
            "sequencer": picture.sequencer,
            "width": picture.width,
            "height": picture.height,
            "content_type": picture.content_type,
            "bytes": picture.size,
        },
        "model": model
        and {
            "run_id": model.run_id,
            "endpoint_config": model.endpoint_config,
            "classes": list(model.classes),
            "score_threshold": model.score_threshold,
            "class_thresholds": None if model.class_thresholds is None else list(model.class_thresholds),
        },
        "detections": detections,
        "rejection": rejection,
        "created_at": timestamp(created_at),
    }
