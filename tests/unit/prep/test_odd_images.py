"""What becomes of each picture of the shared collection of odd ones."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image
from unit.prep.minis import MiniDataset, picture_bytes, voc_xml

from dropspot.errors import InvalidInputError
from prep.decoding import Decoded, DecodeTask, Undecodable, decode
from prep.quarantine import CODES


@dataclass(frozen=True)
class Used:
    """Used, with this upright size: passed through byte for byte, or written anew from this mode."""

    size: tuple[int, int]
    mode: str
    passes: bool = False
    unreadable_exif: bool = False


ODD: dict[str, Used | str] = {
    "broken.png": "corrupt_image",
    "decompression_bomb.gif": "image_too_large",
    "exif_typeerror.jpg": Used((800, 531), "RGB"),
    "gif_named.jpg": Used((250, 202), "P"),
    "hopper.gif": Used((128, 128), "P"),
    "hopper.webp": Used((128, 128), "RGB"),
    "hopper_gray.jpg": Used((128, 128), "L"),
    "hopper_orientation_6.jpg": Used((128, 128), "RGB"),
    "i_trns.png": Used((64, 64), "I;16"),
    "l2rgb_read.bmp": "image_too_large",
    "p_trns_single.png": Used((64, 64), "P"),
    "pil_sample_cmyk.jpg": Used((100, 100), "CMYK"),
    "png_decompression_dos.png": "corrupt_image",
    "rgba_png_named.jpg": Used((200, 150), "RGBA"),
    "truncated_image.png": "corrupt_image",
    "truncated_jpeg.jpg": "corrupt_image",
}


@pytest.mark.parametrize("name", ODD)
def test_each_odd_picture_has_its_expected_outcome(name: str, shared_datasets: Path, tmp_path: Path) -> None:
    stored, expected = shared_datasets / "odd-images" / name, ODD[name]
    task = DecodeTask(0, stored, 512, tmp_path)
    outcome = decode(task)
    if isinstance(expected, str):
        assert isinstance(outcome, Undecodable)
        assert outcome.code == expected
        assert "0x" not in outcome.reason  # an address would change from run to run
        return
    assert isinstance(outcome, Decoded)
    with Image.open(stored) as source, Image.open(stored if outcome.passes else task.target) as result:
        result.load()
        assert (result.format, result.mode) == ("JPEG", "RGB")
        assert source.mode == expected.mode
    assert (outcome.width, outcome.height) == expected.size
    assert outcome.passes == expected.passes
    assert (outcome.unreadable_exif, outcome.remark) == (expected.unreadable_exif, "")


def test_no_picture_of_the_collection_is_missing_here(shared_datasets: Path) -> None:
    assert {path.name for path in (shared_datasets / "odd-images").iterdir()} - {"LICENSE"} == set(ODD)


def test_annotations_of_pictures_of_any_kind_that_is_not_read_name_these(mini: MiniDataset) -> None:
    mini.good(40)
    contents = {kind: picture_bytes(1, kind=kind) for kind in ("TGA", "PCX", "DDS", "SGI")}
    for kind, content in {**contents, "SVG": b"<svg xmlns='http://www.w3.org/2000/svg'/>"}.items():
        name = f"{kind}.{kind.lower()}"
        mini.put(f"images/{name}", content)
        mini.put(f"annotations/xmls/{kind}.xml", voc_xml([("cat", 5, 5, 40, 30)], name))
    result = mini.run()
    assert result.report["left_out"] == {"annotation_of_unsupported_image": 5, "unsupported_image": 5}
    assert all(f"its content is {Path(entry['file']).stem}, " in entry["reason"] for entry in result.quarantine)


def test_a_data_set_of_a_kind_that_is_not_read_says_so(mini: MiniDataset) -> None:
    mini.good(9)
    for number in range(3):
        mini.put(f"images/p{number}.jp2", b"\xff\x4f\xff\x51 and so on")
        mini.put(f"annotations/xmls/p{number}.xml", voc_xml([("cat", 5, 5, 40, 30)], f"p{number}.jp2"))
    mini.put("favicon.ico", picture_bytes(1, kind="ICO"))
    advice = "its content is JPEG 2000, which data sets may not hold: convert it to JPEG or PNG"
    with pytest.raises(InvalidInputError) as refused:
        mini.run()
    assert str(refused.value) == (
        "3 of 12 pictures (25.0%) had to be left out, the limit is 20% (the plan's quarantine.max_left_out); most "
        "often: annotation_of_unsupported_image (3), for example annotations/xmls/p0.xml: images/p0.jp2, its picture, "
        f"cannot be used: {advice}"
    )
    result = mini.run({"quarantine": {"max_left_out": 0.3}})
    assert result.report["left_out"] == {"annotation_of_unsupported_image": 3, "unsupported_image": 4}
    assert {e["reason"] for e in result.quarantine if e["file"].endswith(".jp2")} == {advice}
    assert result.report["warnings"] == [f"unsupported_image, left out 4 times: {CODES['unsupported_image']}"]
    for path in mini.paths.dataset.rglob("good_*"):
        path.unlink()
    with pytest.raises(InvalidInputError, match=f"no usable annotation: .* for example .*, its picture, .*: {advice}"):
        mini.run()
