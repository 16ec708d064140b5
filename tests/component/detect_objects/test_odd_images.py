"""The corpus of odd pictures: whatever is uploaded ends as a document."""

import os
from pathlib import Path

import pytest
from image_pipeline import Pipeline

ROOT = Path(__file__).parents[3]
CORPUS = Path(os.environ.get("DROPSPOT_DATASETS", ROOT.parent / "shared" / "datasets")) / "odd-images"

EXPECTED = {
    "broken.png": "corrupt_image",
    "decompression_bomb.gif": "decompression_bomb",
    "exif_typeerror.jpg": (800, 531, "image/jpeg"),
    "gif_named.jpg": (250, 202, "image/gif"),
    "hopper.gif": (128, 128, "image/gif"),
    "hopper.webp": (128, 128, "image/webp"),
    "hopper_gray.jpg": (128, 128, "image/jpeg"),
    "hopper_orientation_6.jpg": (128, 128, "image/jpeg"),
    "i_trns.png": (64, 64, "image/png"),
    "l2rgb_read.bmp": "decompression_bomb",
    "p_trns_single.png": (64, 64, "image/png"),
    "pil_sample_cmyk.jpg": (100, 100, "image/jpeg"),
    "png_decompression_dos.png": "corrupt_image",
    "rgba_png_named.jpg": (200, 150, "image/png"),
    "truncated_image.png": "corrupt_image",
    "truncated_jpeg.jpg": "corrupt_image",
    "LICENSE": "unsupported_format",
}


@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no corpus of odd images in {CORPUS}: set DROPSPOT_DATASETS")
@pytest.mark.parametrize("name", EXPECTED)
def test_an_odd_picture_ends_as_a_document(pipeline: Pipeline, name: str) -> None:
    key = f"images/odd/{name}"
    assert pipeline.handle(pipeline.upload((CORPUS / name).read_bytes(), key)) == []
    document = pipeline.document(key)
    if document["status"] == "rejected":
        assert document["rejection"]["code"] == EXPECTED[name]
    else:
        image = document["image"]
        assert (image["width"], image["height"], image["content_type"]) == EXPECTED[name]
