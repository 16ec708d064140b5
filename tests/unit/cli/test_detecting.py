import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from rich.console import Console

from dropspot.errors import TransientError
from dropspot.testing import MemoryStore
from dropspot_cli.detecting import Dropped, await_documents, detections_table, rejection_line
from dropspot_cli.drawing import colour_of, draw_detections

IMAGE = Dropped(Path("a b+é.jpg"), "images/x/a b+é.jpg", "e1", "v2")
FOUND = {
    "label": "cat",
    "class_id": 0,
    "score": 0.9123,
    "box": {"xmin": 0.25, "ymin": 0.5, "xmax": 0.75, "ymax": 1.0},
    "pixels": {"left": 50, "top": 50, "width": 100, "height": 50},
}


def document(version: str | None = "v2", etag: str = "e1", **more: Any) -> dict[str, Any]:
    image = {"key": IMAGE.key, "etag": etag, "version_id": version}
    return {"status": "detected", "image": image, "detections": [FOUND], **more}


def test_the_document_lies_where_the_image_does_with_its_whole_name() -> None:
    assert IMAGE.document_key == "detections/x/a b+é.jpg.json"


def test_a_document_of_what_lay_there_before_is_not_taken(store: MemoryStore) -> None:
    store.put_json(IMAGE.document_key, document(version="v1"))
    arrivals = iter([lambda: None, lambda: store.put_json(IMAGE.document_key, document())])
    found = await_documents(store, [IMAGE], timeout=60, sleep=lambda _: next(arrivals)() and None)
    assert found[IMAGE.key]["image"]["version_id"] == "v2"


def test_without_versions_the_bytes_decide() -> None:
    assert IMAGE.is_described_by(document(version=None))
    assert not IMAGE.is_described_by(document(version=None, etag="e0"))


def test_missing_documents_are_named_after_the_time(store: MemoryStore) -> None:
    with pytest.raises(TransientError, match=r"No detections of images/x/a b\+é\.jpg after 0 s"):
        await_documents(store, [IMAGE], timeout=0)


def shown(screen: Console, told: dict[str, Any]) -> str:
    screen.print(detections_table(told))
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


def test_the_table_shows_label_score_and_box(screen: Console) -> None:
    text = shown(screen, document())
    assert text.splitlines()[-1].split() == ["cat", "0.912", "50", "50", "100", "50"]


def test_an_image_without_objects_says_so(screen: Console) -> None:
    assert "nothing found" in shown(screen, document(detections=[]))


def test_a_rejected_image_says_why(screen: Console) -> None:
    rejection = {"code": "not_an_image", "message": "the file is a PDF [1]"}
    screen.print(rejection_line(document(status="rejected", rejection=rejection)))
    assert isinstance(screen.file, io.StringIO)
    assert screen.file.getvalue() == "rejected not_an_image: the file is a PDF [1]\n"


def near(picture: Image.Image, at: tuple[int, int], colour: str) -> bool:
    wanted = tuple(int(colour[start : start + 2], 16) for start in (1, 3, 5))
    pixel = picture.getpixel(at)
    assert isinstance(pixel, tuple)
    return all(abs(one - other) < 60 for one, other in zip(pixel, wanted, strict=True))


def test_boxes_are_drawn_where_they_are_on_the_upright_picture(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side: 100 wide and 200 high in the file, 200 by 100 upright
    Image.new("RGB", (100, 200), "white").save(tmp_path / "in.jpg", exif=exif)
    draw_detections(tmp_path / "in.jpg", [FOUND], tmp_path / "out" / "in.jpg.jpg")
    with Image.open(tmp_path / "out" / "in.jpg.jpg") as drawn:
        assert drawn.size == (200, 100)
        assert near(drawn, (51, 80), colour_of("cat"))
        assert near(drawn, (149, 80), colour_of("cat"))
        assert near(drawn, (100, 75), "#ffffff")
        assert near(drawn, (20, 80), "#ffffff")


def test_a_picture_with_transparency_and_no_detections_is_written(tmp_path: Path) -> None:
    Image.new("RGBA", (40, 30), (0, 0, 0, 0)).save(tmp_path / "in.png")
    draw_detections(tmp_path / "in.png", [], tmp_path / "out.jpg")
    with Image.open(tmp_path / "out.jpg") as drawn:
        assert drawn.format == "JPEG"
