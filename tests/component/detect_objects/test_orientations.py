"""One scene stored in each of EXIF's eight ways: what is seen lies in the same places of the upright picture."""

import io
from typing import Any

import pytest
from image_pipeline import RUN, Pipeline
from PIL import Image, ImageDraw

SIZE = (320, 200)
MARK, SECOND = (230, 20, 20), (20, 20, 230)
BOXES = {"cat": (40, 30, 120, 170), "dog": (200, 20, 300, 60)}  # pixels of the upright scene
TOLERANCE = 0.02
# How an upright picture is stored under each orientation: the inverse of the turn that brings it back.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def scene() -> Image.Image:
    picture = Image.new("RGB", SIZE, (240, 240, 240))
    draw = ImageDraw.Draw(picture)
    draw.rectangle(BOXES["cat"], fill=MARK)
    draw.rectangle(BOXES["dog"], fill=SECOND)
    return picture


def detect(payload: bytes) -> Any:
    """Find the two marks in what is sent: a detector that knows nothing of orientations."""
    with Image.open(io.BytesIO(payload)) as opened:
        assert opened.getexif().get(0x0112, 1) == 1
        picture = opened.convert("RGB")
    red, _, blue = picture.split()
    rows = []
    for class_id, (band, other) in enumerate(((red, blue), (blue, red))):
        strong = Image.eval(band, lambda value: 255 * (value > 150))
        weak = Image.eval(other, lambda value: 255 * (value < 100))
        left, top, right, bottom = Image.composite(strong, Image.new("L", picture.size), weak).getbbox() or (0, 0, 0, 0)
        box = (left / picture.width, top / picture.height, right / picture.width, bottom / picture.height)
        rows.append([class_id, 0.9, *box])
    return rows


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", STORED)
def test_boxes_refer_to_the_upright_picture(pipeline: Pipeline, orientation: int, kind: str) -> None:
    pipeline.serve(RUN, detect)
    turn, exif, buffer = STORED[orientation], Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    (scene() if turn is None else scene().transpose(turn)).save(buffer, kind, exif=exif)
    assert pipeline.handle(pipeline.upload(buffer.getvalue())) == []
    document = pipeline.document()
    assert (document["image"]["width"], document["image"]["height"]) == SIZE
    for found in document["detections"]:
        wanted = [side / SIZE[number % 2] for number, side in enumerate(BOXES[found["label"]])]
        assert list(found["box"].values()) == pytest.approx(wanted, abs=TOLERANCE)
    assert len(document["detections"]) == 2
