"""What the real server answers to each picture of the shared collection of odd ones."""

from pathlib import Path

import pytest
from unit.detector.live_server import LiveServer

CONTENT_TYPES = {".jpg": "image/jpeg", ".png": "image/png"}

# status -> and the upright size, or a part of the sentence
ODD: dict[str, tuple[int, tuple[int, int] | str]] = {
    "broken.png": (400, "not a picture in any of the formats"),
    "decompression_bomb.gif": (413, "pixels"),
    "exif_typeerror.jpg": (200, (800, 531)),
    "gif_named.jpg": (200, (250, 202)),
    "hopper.gif": (200, (128, 128)),
    "hopper.webp": (200, (128, 128)),
    "hopper_gray.jpg": (200, (128, 128)),
    "hopper_orientation_6.jpg": (200, (128, 128)),
    "i_trns.png": (200, (64, 64)),
    "l2rgb_read.bmp": (413, "pixels"),
    "p_trns_single.png": (200, (64, 64)),
    "pil_sample_cmyk.jpg": (200, (100, 100)),
    "png_decompression_dos.png": (400, "cannot be decoded"),
    "rgba_png_named.jpg": (200, (200, 150)),
    "truncated_image.png": (400, "cannot be decoded"),
    "truncated_jpeg.jpg": (400, "cannot be decoded"),
}


@pytest.mark.serving
@pytest.mark.parametrize("name", ODD)
def test_each_odd_picture_has_its_expected_status(name: str, shared_datasets: Path, server: LiveServer) -> None:
    path = shared_datasets / "odd-images" / name
    status, expected = ODD[name]
    named = {"content-type": CONTENT_TYPES.get(path.suffix, "application/x-image")}
    response = server.post(path.read_bytes(), **named)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    if isinstance(expected, str):
        sentence = response.json()["error"]
        assert expected in sentence
        assert "0x" not in sentence  # an address says nothing to anybody
        return
    assert all(len(row) == 6 for row in response.json()["prediction"])
    pixels = server.post(path.read_bytes(), accept="application/json;annotation=1", **named).json()
    assert pixels["image_size"] == [{"width": expected[0], "height": expected[1], "depth": 3}]


def test_no_picture_of_the_collection_is_missing_here(shared_datasets: Path) -> None:
    assert {path.name for path in (shared_datasets / "odd-images").iterdir()} - {"LICENSE"} == set(ODD)
