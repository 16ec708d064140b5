"""What each output consists of, read back as its readers would."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from unit.prep.minis import seeded
from unit.prep.prepared_pictures import CAT, DOG, URI, labelled, shared_out

from dropspot.errors import InvalidInputError
from dropspot.preparation_plan import OUTPUTS
from dropspot.recordio import frame
from prep.model import Box, LabelledPicture
from prep.recordio import read_records, unpack
from prep.writers import published_name, write_json, write_picture
from prep.writers.outputs import CHANNEL_WRITERS, check_destination, count_training_samples, write_prepared
from prep.writers.pixel_boxes import pixel_boxes

CLASSES = ("cat", "dog")
IDS = {"cat": 0, "dog": 1}


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def written(
    folder: Path, output: str, shared: dict[str, list[LabelledPicture]] | None = None, uri: str = URI
) -> dict[str, bytes]:
    folder.mkdir(exist_ok=True)
    write_prepared(shared or shared_out(folder.parent), CLASSES, output, folder, uri)
    return files(folder)


def manifest_of(outputs: dict[str, bytes], channel: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in outputs[f"{channel}/{channel}.manifest"].splitlines()]


def test_there_is_a_writer_for_every_output_a_plan_may_ask_for() -> None:
    assert set(CHANNEL_WRITERS) == set(OUTPUTS)


@pytest.mark.parametrize("output", OUTPUTS)
def test_every_output_has_the_classes_and_the_held_out_pictures(output: str, tmp_path: Path) -> None:
    shared = shared_out(tmp_path)
    outputs = written(tmp_path / "out", output, shared)
    assert json.loads(outputs["classes.json"]) == {"classes": ["cat", "dog"]}
    truth = json.loads(outputs["test/truth.json"])["images"]
    assert {f"test/images/{name}" for name in truth} == {name for name in outputs if name.startswith("test/images/")}
    for picture in shared["test"]:
        name = published_name(picture)
        assert outputs[f"test/images/{name}"] == picture.payload.read_bytes()
        assert [(b["class_id"], b["xmin"], b["ymax"]) for b in truth[name]["boxes"]] == [
            (IDS[box.name], box.xmin, box.ymax) for box in picture.boxes
        ]


@pytest.mark.parametrize("output", OUTPUTS)
def test_the_same_pictures_give_the_same_bytes(output: str, tmp_path: Path) -> None:
    shared = shared_out(tmp_path)
    assert written(tmp_path / "a", output, shared) == written(tmp_path / "b", output, shared)


@pytest.mark.parametrize("output", OUTPUTS)
def test_the_pictures_to_train_on_are_counted_in_what_was_written(output: str, tmp_path: Path) -> None:
    written(tmp_path / "out", output)
    train = tmp_path / "out" / "train"
    assert count_training_samples(output, tmp_path / "out") == 6
    if output == "image":
        min((tmp_path / "out" / "train_annotation").iterdir()).unlink()
    elif output == "augmented-manifest":
        manifest = train / "train.manifest"
        manifest.write_bytes(manifest.read_bytes().split(b"\n", 1)[1])
    else:
        first = frame(next(read_records(train / "train.rec")))
        (train / "train.rec").write_bytes((train / "train.rec").read_bytes()[len(first) :])
    assert count_training_samples(output, tmp_path / "out") == 5


def test_recordio_holds_labels_and_pictures(tmp_path: Path) -> None:
    shared = shared_out(tmp_path)
    outputs = written(tmp_path / "out", "recordio", shared)
    assert {n for n in outputs if n.startswith(("train", "validation"))} == {
        f"{side}/{side}.{suffix}" for side in ("train", "validation") for suffix in ("rec", "idx", "lst")
    }
    records = [unpack(payload) for payload in read_records(tmp_path / "out" / "train" / "train.rec")]
    assert [record.image for record in records] == [picture.payload.read_bytes() for picture in shared["train"]]
    assert records[0].label == pytest.approx([2, 5, 0, *CAT.corners])


def test_the_image_output_is_four_channels_and_nothing_else(tmp_path: Path) -> None:
    shared = shared_out(tmp_path)
    outputs = written(tmp_path / "out", "image", shared)
    names = {side: {published_name(picture).removesuffix(".jpg") for picture in shared[side]} for side in shared}
    assert {name for name in outputs if not name.startswith("test/")} == {"classes.json"} | {
        f"{side}{kind}"
        for side in ("train", "validation")
        for name in names[side]
        for kind in (f"/{name}.jpg", f"_annotation/{name}.json")
    }
    for side in ("train", "validation"):
        for picture in shared[side]:
            assert outputs[f"{side}/{published_name(picture)}"] == picture.payload.read_bytes()


def test_an_annotation_is_the_document_that_the_built_in_reads(tmp_path: Path) -> None:
    picture = labelled(tmp_path, 1, [DOG, CAT], name="a/my dog.png", size=(100, 50))
    outputs = written(tmp_path / "out", "image", {"train": [picture], "validation": [picture], "test": []})
    name = published_name(picture)
    assert name.startswith("my_dog-")
    assert json.loads(outputs[f"train_annotation/{name[:-4]}.json"]) == {
        "file": name,
        "image_size": [{"width": 100, "height": 50, "depth": 3}],
        "annotations": [
            {"class_id": 1, "left": 25, "top": 13, "width": 75, "height": 37},
            {"class_id": 0, "left": 10, "top": 10, "width": 40, "height": 20},
        ],
        "categories": [{"class_id": 0, "name": "cat"}, {"class_id": 1, "name": "dog"}],
    }
    with Image.open(io.BytesIO(outputs[f"train/{name}"])) as opened:
        assert (opened.format, opened.size, opened.mode) == ("JPEG", (100, 50), "RGB")


@pytest.mark.parametrize("uri", [URI, URI.rstrip("/")])
def test_a_manifest_names_each_picture_where_it_will_lie(uri: str, tmp_path: Path) -> None:
    shared = shared_out(tmp_path)
    outputs = written(tmp_path / "out", "augmented-manifest", shared, uri)
    for side in ("train", "validation"):
        lines = manifest_of(outputs, side)
        assert [line["source-ref"] for line in lines] == [
            f"{URI}{side}/images/{published_name(picture)}" for picture in shared[side]
        ]
        for line, picture in zip(lines, shared[side], strict=True):
            assert outputs[line["source-ref"].removeprefix(URI)] == picture.payload.read_bytes()


def test_a_manifests_line_is_ground_truths(tmp_path: Path) -> None:
    picture = labelled(tmp_path, 1, [DOG], size=(100, 50))
    outputs = written(tmp_path / "out", "augmented-manifest", {"train": [picture], "validation": [], "test": []})
    assert manifest_of(outputs, "train") == [
        {
            "source-ref": f"{URI}train/images/{published_name(picture)}",
            "bounding-box": {
                "image_size": [{"width": 100, "height": 50, "depth": 3}],
                "annotations": [{"class_id": 1, "left": 25, "top": 13, "width": 75, "height": 37}],
            },
            "bounding-box-metadata": {
                "class-map": {"1": "dog"},
                "type": "groundtruth/object-detection",
                "human-annotated": "yes",
            },
        }
    ]
    assert outputs["validation/validation.manifest"] == b""


@pytest.mark.parametrize(
    ("uri", "complaint"),
    [("", "--prepared-uri, or as DROPSPOT"), ("/tmp/prepared", "must be an s3://"), ("s3://", "must be an s3://")],
)
def test_a_manifest_without_an_address_says_what_to_give(uri: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=complaint) as early:
        check_destination("augmented-manifest", uri)
    with pytest.raises(InvalidInputError) as late:
        written(tmp_path / "out", "augmented-manifest", uri=uri)
    assert str(late.value) == str(early.value)
    assert "\n" not in str(early.value)


def test_the_other_outputs_need_no_address() -> None:
    for output in set(OUTPUTS) - {"augmented-manifest"}:
        check_destination(output, "")


spans = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted).filter(lambda span: span[1] - span[0] > 1e-6)


@given(spans, spans, st.integers(1, 3000), st.integers(1, 3000))
@seeded
def test_a_box_in_whole_pixels_stays_inside_and_near(x: list[float], y: list[float], width: int, height: int) -> None:
    picture = labelled_size(width, height, Box("cat", x[0], y[0], x[1], y[1]))
    [box] = pixel_boxes(picture, IDS)
    for (low, high), start, extent, length in (
        (x, box["left"], box["width"], width), (y, box["top"], box["height"], height)
    ):  # fmt: skip
        assert extent >= 1
        assert 0 <= start < start + extent <= length
        assert abs(start - low * length) < 1.0000001
        assert abs(start + extent - high * length) < 1.0000001


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n - 1), st.integers(1, n))))
@seeded
def test_whole_pixels_come_back_as_they_were(numbers: tuple[int, int, int]) -> None:
    length, start, extent = numbers
    end = min(start + extent, length)
    picture = labelled_size(length, 10, Box("cat", round(start / length, 7), 0, round(end / length, 7), 1))
    [box] = pixel_boxes(picture, IDS)
    assert (box["left"], box["left"] + box["width"]) == (start, end)


def labelled_size(width: int, height: int, box: Box) -> LabelledPicture:
    nowhere = Path("nowhere")
    return LabelledPicture(None, None, nowhere, "", "", width, height, (box,))  # type: ignore[arg-type]


def test_a_name_without_utf8_form_survives_json(tmp_path: Path) -> None:
    # JSON annotations can state a lone surrogate, which no encoding writes.
    write_json(tmp_path / "a.json", {"name": "a\ud800b", "other": "é"})
    assert json.loads((tmp_path / "a.json").read_bytes()) == {"name": "a\ud800b", "other": "é"}
    assert "é".encode() in (tmp_path / "a.json").read_bytes()


@pytest.mark.parametrize("output", OUTPUTS)
def test_no_picture_takes_anothers_place(output: str, tmp_path: Path) -> None:
    picture, other = labelled(tmp_path, 1, name="a/1.png"), labelled(tmp_path, 2)
    shared = {"train": [picture, other, picture], "validation": [other], "test": [other]}
    with pytest.raises(FileExistsError, match=r"a/1\.png and a/1\.png would both be written as 1-"):
        written(tmp_path / "out", output, shared)


def test_a_file_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    picture, target = labelled(tmp_path, 1), tmp_path / "there.jpg"
    target.write_bytes(b"another picture")
    with pytest.raises(FileExistsError, match=r"there\.jpg would be written twice"):
        write_picture(picture, target)
    assert target.read_bytes() == b"another picture"
