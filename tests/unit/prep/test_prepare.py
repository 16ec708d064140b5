"""Whole preparations of small data sets made for the purpose."""

import io
import json
import os
import random
import struct
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from unit.prep.minis import LAYOUT_WRITERS, Labelled, MiniDataset, as_coco, as_manifest, picture_bytes, voc_xml

from dropspot.errors import InvalidInputError
from dropspot.preparation_plan import OUTPUTS, PreparationPlan
from prep import jpeg
from prep.pipeline import prepare
from prep.progress import Progress
from prep.quarantine import CODES, Entry
from prep.report import label_width
from prep.writers.outputs import CHANNEL_WRITERS


def test_the_outputs_are_those_of_the_contract(mini: MiniDataset) -> None:
    result = mini.good(20).run()
    outputs = result.prepared()
    images = {name for name in outputs if name.startswith("test/images/")}
    assert set(outputs) - images == {
        "train/train.rec", "train/train.idx", "train/train.lst",
        "validation/validation.rec", "validation/validation.idx", "validation/validation.lst",
        "test/truth.json", "classes.json",
    }  # fmt: skip
    assert {f"test/images/{name}" for name in result.truth} == images
    assert json.loads(outputs["classes.json"]) == {"classes": ["cat", "dog"]}
    assert sorted(path.name for path in result.paths.report.iterdir()) == [
        "quarantine.jsonl", "report.html", "report.json"
    ]  # fmt: skip
    assert json.loads((result.paths.report / "report.json").read_text()) == result.report


def test_the_report_counts_what_was_written(mini: MiniDataset) -> None:
    result = mini.good(20).run()
    report = result.report
    assert report["schema"] == "dropspot/report/1"
    assert report["images"] == {"found": 20, "used": 20, "left_out": 0}
    assert {side: split["images"] for side, split in report["splits"].items()} == {
        "train": 14, "validation": 2, "test": 4
    }  # fmt: skip
    assert report["num_training_samples"] == len(result.records("train")) == 14
    assert [(c["class_id"], c["name"], sum(c["boxes"].values())) for c in report["classes"]] == [
        (0, "cat", 10), (1, "dog", 10)
    ]  # fmt: skip
    assert (report["left_out"], report["remarks"], report["warnings"]) == ({}, {}, [])


def test_pictures_that_differ_in_a_single_row_are_two(mini: MiniDataset) -> None:
    mini.good(8)
    drawn = Image.open(io.BytesIO(picture_bytes(99))).convert("RGB")
    for number, row in enumerate((3, 44, 44)):  # the third is the second in another file
        copy = drawn.copy()
        copy.paste((255, 0, 255), (0, row, 64, row + 1))
        buffer = io.BytesIO()
        copy.save(buffer, "PNG", compress_level=number)
        mini.put(f"one-row-{number}.png", buffer.getvalue())
        mini.put(f"one-row-{number}.xml", voc_xml([("cat", 1, 1, 40, 30)]))
    report = mini.run().report
    assert report["images"] == {"found": 11, "used": 10, "left_out": 1}
    assert report["left_out"] == {"duplicate_image": 1}


def test_a_jpeg_that_passes_through_is_the_picture_that_another_format_has_of_it(mini: MiniDataset) -> None:
    for seed in range(8):
        mini.pair(f"kept{seed}", seed, size=(60, 50))  # not flat in blocks of 8 by 8
    for seed, name in ((2, "copy2.png"), (5, "copy5.bmp"), (40, "another.png")):
        kind = name[-3:].upper()
        with Image.open(io.BytesIO(picture_bytes(seed, (60, 50)))) as opened:
            buffer = io.BytesIO()
            opened.save(buffer, kind)
        mini.put(f"images/{name}", buffer.getvalue())
        mini.put(f"annotations/xmls/{name[:-4]}.xml", voc_xml([("cat", 1, 1, 40, 30)], name))
    result = mini.run()
    assert "comparing 2 images that look like others" in result.said  # by their colours, the other six not
    assert result.report["images"] == {"found": 11, "used": 11, "left_out": 0}
    assert result.report["remarks"] == {"conflicting_boxes": 2}  # of copies, which stay on one side
    sides = result.stems()
    assert sides["kept2"] == sides["copy2"]
    assert sides["kept5"] == sides["copy5"]


@pytest.mark.parametrize(
    ("size", "colours", "qualities", "options"),
    [
        (12, [(0, 255, 0), (255, 255, 255)], (48, 52), {}),
        (12, [(0, 255, 255), (0, 255, 255)], (45, 55), {"progressive": True}),
        (32, [(255, 255, 0), (0, 0, 255)], (20, 50), {"restart_marker_blocks": 1}),
    ],
    ids=str,
)
def test_drawings_of_the_same_pixels_and_other_luma_never_leak(
    size: int, colours: list[Any], qualities: tuple[int, int], options: dict[str, Any], mini: MiniDataset
) -> None:
    draw = random.Random(0)
    for number in range(16):
        drawing = Image.new("RGB", (size // 4, size // 4))
        drawing.putdata(draw.choices(colours, k=drawing.width * drawing.height))
        side = 8 * drawing.width + (8 * number if colours[0] == colours[1] else 0)
        drawing = drawing.resize((side, side), Image.Resampling.NEAREST)
        pixels, lumas = set(), set()
        for quality in qualities:
            buffer = io.BytesIO()
            drawing.save(buffer, "JPEG", quality=quality, subsampling=0, **options)
            pixels.add(jpeg.pixels(buffer.getvalue()).tobytes())
            lumas.add(jpeg.luma(buffer.getvalue()).tobytes())
            mini.put(f"{number}-{quality}.jpg", buffer.getvalue() + bytes(6000 if "progressive" in options else 0))
            mini.put(f"{number}-{quality}.xml", voc_xml([("sign", 1, 1, 12, 12)]))
        assert len(lumas) == 2
        assert len(pixels) == 1
    assert mini.run().report["left_out"] == {"duplicate_image": 16}


@pytest.mark.parametrize("write", [as_coco, as_manifest])
def test_a_picture_that_two_files_give_to_two_parts_is_not_trained_on(write, mini: MiniDataset) -> None:
    pictures = [Labelled(f"p{n:02d}", (("cat", 1 + n % 3, 1, 40, 30),), seed=n) for n in range(12)]
    suffix = "json" if write is as_coco else "manifest"
    write(mini, pictures[:8], f"train.{suffix}")
    write(mini, pictures[6:], f"val.{suffix}")
    result = mini.run()
    assert result.report["split"]["reason"].startswith("the parts stated by the data set's annotations are followed")
    conflicts = [entry["file"] for entry in result.quarantine if entry["code"] == "split_conflict"]
    assert conflicts == ["images/p06.jpg", "images/p07.jpg"]
    assert {name.rpartition("-")[0] for name in result.truth} == {f"p{n:02d}" for n in range(6, 12)}


@pytest.mark.parametrize("folder", ["", "deeper/"])
def test_archives_called_like_parts_are_followed(folder: str, mini: MiniDataset) -> None:
    for start, name in ((0, "Train.zip"), (100, "val.zip"), (200, "test.zip")):
        boxes = voc_xml([("cat", 1, 1, 40, 30)]).encode()
        pictures = {f"images/{n}.jpg": picture_bytes(start + n) for n in range(4)}  # alike called in each archive
        mini.zip(f"{folder}{name}", pictures | {f"annotations/{n}.xml": boxes for n in range(4)})
    report = mini.run().report
    assert report["split"]["reason"] == (
        "the data set's own folders and archives are followed: train (4), validation (4), test (4)"
    )
    assert {side: split["images"] for side, split in report["splits"].items()} == {
        "train": 4, "validation": 4, "test": 4
    }  # fmt: skip


def test_a_published_test_archive_without_annotations_is_no_loss(mini: MiniDataset) -> None:
    mini.good(10)
    mini.zip("test.zip", {f"images/{n}.jpg": picture_bytes(n) for n in range(10)})
    report = mini.run().report
    assert report["images"] == {"found": 20, "used": 10, "left_out": 10}
    assert report["split"]["reason"].startswith("drawn by content")


def test_folders_in_an_archive_tell_more_than_its_name(mini: MiniDataset) -> None:
    members = {}
    for n in range(8):
        members[f"{'valid' if n < 3 else 'train'}/{n}.jpg"] = picture_bytes(n)
        members[f"{'valid' if n < 3 else 'train'}/{n}.xml"] = voc_xml([("cat", 1, 1, 40, 30)]).encode()
    mini.tar("train.tar.gz", members)
    reason = mini.run().report["split"]["reason"]
    assert reason.startswith("the data set's own folders are followed: train (5), validation (3); ")


@pytest.mark.parametrize(("ours", "theirs"), [("a.tar.gz", "b.zip"), ("z.tar.gz", "b.zip")])
def test_versions_of_an_annotation_in_two_archives_are_not_chosen_between_by_name(
    ours: str, theirs: str, mini: MiniDataset
) -> None:
    mini.good(12)
    for number in range(3):
        mini.put(f"images/p{number}.jpg", picture_bytes(number))
    same, differs = voc_xml([("cat", 1, 1, 40, 30)]), voc_xml([("dog", 1, 1, 40, 30)])
    mini.tar(ours, {f"annotations/xmls/p{n}.xml": same.encode() for n in range(3)})
    mini.zip(theirs, {f"annotations/xmls/p{n}.xml": (same, differs, same)[n].encode() for n in range(3)})
    result = mini.run()
    assert result.report["images"] == {"found": 15, "used": 14, "left_out": 1}
    assert result.report["left_out"] == {"conflicting_annotation": 2, "duplicate_annotation": 2, "no_annotation": 1}
    assert result.codes()["images/p1.jpg"] == "no_annotation"
    reasons = {e["reason"] for e in result.quarantine if e["code"] == "conflicting_annotation"}
    archives = ", ".join(sorted((ours, theirs)))
    assert reasons == {
        f"it says something else of images/p1.jpg in each of {archives}, and nothing tells which is right"
    }


def test_versions_of_a_file_of_many_entries_are_compared_picture_by_picture(mini: MiniDataset) -> None:
    mini.good(12)
    for number in range(2):
        mini.put(f"images/p{number}.jpg", picture_bytes(number))

    def coco(*boxes: tuple[int, int]) -> bytes:
        return json.dumps({
            "images": [{"id": n, "file_name": f"p{n}.jpg", "width": 64, "height": 48} for n in range(2)],
            "categories": [{"id": 1, "name": "cat"}],
            "annotations": [
                {"id": i, "image_id": n, "category_id": 1, "bbox": [1, 1, side, side]}
                for i, (n, side) in enumerate(boxes)
            ],
        }).encode()  # fmt: skip

    mini.zip("a.zip", {"all.json": coco((0, 9), (0, 20), (1, 9))})
    mini.zip("b.zip", {"all.json": coco((0, 20), (0, 9), (1, 10))})
    result = mini.run()
    assert result.report["images"] == {"found": 14, "used": 13, "left_out": 1}
    assert result.report["left_out"] == {"conflicting_annotation": 2, "duplicate_annotation": 1, "no_annotation": 1}


def test_labels_survive_to_every_output(mini: MiniDataset) -> None:
    expected = {}
    for i in range(12):
        boxes = [("cat", 4 + i, 6, 40, 30), ("dog", 1, 2 + i, 33, 47)][: 1 + i % 2]
        mini.pair(f"p{i}", i, boxes)
        expected[picture_bytes(i)] = [
            ({"cat": 0, "dog": 1}[name], a / 64, b / 48, c / 64, d / 48) for name, a, b, c, d in boxes
        ]
    result = mini.run()
    found = {}
    for channel in ("train", "validation"):
        lines = (result.paths.prepared / channel / f"{channel}.lst").read_text().splitlines()
        for number, (record, line) in enumerate(zip(result.records(channel), lines, strict=True)):
            fields = line.split("\t")
            assert record.record_id == int(fields[0]) == number
            assert record.label == tuple(struct.unpack("f", struct.pack("f", float(x)))[0] for x in fields[1:-1])
            assert record.label[:2] == (2, 5)
            found[record.image] = [record.label[at : at + 5] for at in range(2, len(record.label), 5)]
    for name, truth in result.truth.items():
        assert (truth["width"], truth["height"]) == (64, 48)
        image = (result.paths.prepared / "test" / "images" / name).read_bytes()
        found[image] = [[b[k] for k in ("class_id", "xmin", "ymin", "xmax", "ymax")] for b in truth["boxes"]]
        assert all(box["difficult"] is False for box in truth["boxes"])
    assert found.keys() == expected.keys()
    for image, boxes in expected.items():
        for box, stored in zip(boxes, found[image], strict=True):
            assert list(stored) == pytest.approx(box, abs=1e-6)


def test_same_input_same_bytes_whatever_order_layout_and_workers(mini, another, tmp_path: Path) -> None:
    mini.good(16)
    mini.put("images/turned.png", picture_bytes(1, (700, 900), "PNG"))
    mini.put("annotations/xmls/turned.xml", voc_xml([("cat", 10, 10, 300, 300)], "turned.png"))
    mini.put("annotations/README", "about")
    first = mini.run()
    files = list(mini.files().items())
    random.Random(3).shuffle(files)
    another.tar("images.tar.gz", {path: data for path, data in files if path.startswith("images/")})
    another.zip("annotations.zip", {path: data for path, data in files if not path.startswith("images/")})
    second = another.run(workers=2)
    assert second.prepared() == first.prepared()
    assert second.report == first.report
    assert (second.paths.report / "quarantine.jsonl").read_bytes() == (
        first.paths.report / "quarantine.jsonl"
    ).read_bytes()


def test_folders_do_not_matter_to_what_is_prepared(mini, another) -> None:
    first = mini.good(12).run()
    for path, data in mini.files().items():
        another.put(f"some/where/{Path(path).name}", data)
    assert another.run().prepared() == first.prepared()


def test_an_earlier_preparation_leaves_nothing_behind(mini: MiniDataset) -> None:
    fresh = mini.good(12).run().prepared()
    (mini.paths.prepared / "train" / "stale.rec").write_text("old")
    (mini.paths.prepared / "test" / "images" / "stale.jpg").write_text("old")
    (mini.paths.report / "stale.html").write_text("old")
    assert mini.run().prepared() == fresh
    assert not (mini.paths.report / "stale.html").exists()
    assert sorted(path.name for path in mini.paths.work.iterdir()) == ["input", "output"]


def test_the_seed_changes_the_split_and_the_classes_stay(mini: MiniDataset) -> None:
    first = mini.good(30).run({"split": {"seed": 1}})
    held_out = set(first.truth)
    second = mini.run({"split": {"seed": 2}})
    assert held_out != set(second.truth)
    assert len(held_out) == len(second.truth)


def test_copies_of_a_picture_never_leak(mini: MiniDataset) -> None:
    for i in range(12):
        picture = picture_bytes(i, kind="PNG")
        with Image.open(io.BytesIO(picture)) as opened:
            bitmap = io.BytesIO()
            opened.save(bitmap, "BMP")
        # The same pixels as PNG and BMP under other names, with the same boxes and with others.
        for name, data, box in (
            (f"a{i}.png", picture, 5), (f"b{i}.bmp", bitmap.getvalue(), 5), (f"c{i}.png", picture, 9)
        ):  # fmt: skip
            mini.put(f"images/{name}", data)
            mini.put(f"labels/{name[:-4]}.xml", voc_xml([("cat", box, 5, 40, 30)], name))
    result = mini.run()
    sides = {side: set(pictures) for side, pictures in result.pictures().items()}
    assert all(sides.values())
    assert len(set.union(*sides.values())) == sum(len(side) for side in sides.values())
    assert result.report["images"] == {"found": 36, "used": 24, "left_out": 12}
    assert result.report["left_out"] == {"duplicate_image": 12}
    assert result.report["remarks"] == {"conflicting_boxes": 12}
    assert {e["annotation"] for e in result.quarantine if e["code"] == "duplicate_image"} == {
        f"labels/b{i}.xml" if f"images/b{i}.bmp" in result.codes() else f"labels/a{i}.xml" for i in range(12)
    }


def test_every_file_is_used_or_named(mini: MiniDataset) -> None:
    mini.good(12)
    mini.put("images/corrupt.jpg", picture_bytes(50)[:300])
    mini.put("annotations/xmls/corrupt.xml", voc_xml([("cat", 5, 5, 20, 20)], "corrupt.jpg"))
    mini.put("images/page.jpg", "<html>not found</html>")
    mini.put("annotations/xmls/page.xml", voc_xml([("cat", 5, 5, 20, 20)], "page.jpg"))
    mini.put("images/lonely_page.jpg", "<html>")
    mini.put("images/lonely.jpg", picture_bytes(51))
    mini.put("annotations/xmls/pictureless.xml", voc_xml([("cat", 5, 5, 20, 20)], "pictureless.jpg"))
    mini.put("images/badly.jpg", picture_bytes(52))
    mini.put("annotations/xmls/badly.xml", "<annotation>")
    mini.put("images/outside.jpg", picture_bytes(53))
    mini.put("annotations/xmls/outside.xml", voc_xml([("cat", 500, 500, 600, 600)], "outside.jpg"))
    mini.put("images/empty.jpg", picture_bytes(54))
    mini.put("annotations/xmls/empty.xml", voc_xml([], "empty.jpg"))
    mini.put("annotations/xmls/._empty.xml", b"\0\5\x16\7")
    mini.put("annotations/trainval.txt", "good_00 1 1 1\nlisted 1 1 1\nlonely 1 1 1\n# comment\n")
    mini.put("images/._x.jpg", b"\0\5\x16\7")
    result = mini.run({"quarantine": {"max_left_out": 0.5}})
    assert result.codes() == {
        "images/corrupt.jpg": "corrupt_image",
        "images/page.jpg": "not_an_image",
        "images/lonely_page.jpg": "not_an_image",
        "images/lonely.jpg": "listed_without_annotation",
        "annotations/xmls/pictureless.xml": "annotation_without_image",
        "images/badly.jpg": "no_annotation",
        "annotations/xmls/badly.xml": "bad_annotation",
        "images/outside.jpg": "no_usable_box",
        "images/empty.jpg": "no_object",
        "annotations/xmls/._empty.xml": "unsupported_file",
        "images/._x.jpg": "unsupported_file",
        "listed": "listed_without_annotation",
    }
    assert result.report["images"] == {"found": 19, "used": 12, "left_out": 7}
    mentioned = {e["file"] for e in result.quarantine} | {e.get("annotation") for e in result.quarantine}
    good = {path for path in mini.files() if "good" in path}
    assert mentioned >= set(mini.files()) - good - {"annotations/trainval.txt"}
    assert not mentioned & good
    assert sum(result.report["left_out"].values()) == len(result.quarantine)


def test_a_false_suffix_is_used_with_a_remark(mini: MiniDataset) -> None:
    mini.good(9)
    mini.put("images/gif.jpg", picture_bytes(60, kind="GIF"))
    mini.put("labels/gif.xml", voc_xml([("cat", 5, 5, 40, 30)], "gif.jpg"))
    result = mini.run()
    assert result.report["images"] == {"found": 10, "used": 10, "left_out": 0}
    assert result.codes(left_out=False) == {"images/gif.jpg": "wrong_extension"}
    assert result.report["remarks"] == {"wrong_extension": 1}
    assert any("another format" in warning for warning in result.report["warnings"])


def test_bad_boxes_go_and_their_picture_stays(mini: MiniDataset) -> None:
    mini.good(9)
    mini.pair("mixed", 70, [("cat", 5, 5, 5, 30), ("cat", 5, 5, 40, 30), ("cat", 400, 5, 500, 30)])
    result = mini.run()
    entries = [(e["code"], e["box"]) for e in result.quarantine if e["file"].endswith("mixed.xml")]
    assert entries == [("degenerate_box", 0), ("box_outside", 2)]
    assert result.report["images"]["used"] == 10
    assert sum(split["boxes"] for split in result.report["splits"].values()) == 10


def test_boxes_are_meant_for_the_upright_picture(mini: MiniDataset) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for i in range(9):
        mini.put(f"images/p{i}.jpg", picture_bytes(i, (90, 60), exif=exif))
        mini.put(f"labels/p{i}.xml", voc_xml([("cat", 0, 45, 60, 90)], f"p{i}.jpg", (60, 90)))
    result = mini.run()
    assert result.quarantine == []
    for truth in result.truth.values():
        assert (truth["width"], truth["height"]) == (60, 90)
        assert truth["boxes"][0]["ymin"] == 0.5


def test_large_pictures_are_resized_to_the_plan(mini: MiniDataset) -> None:
    for i in range(9):
        mini.pair(f"p{i}", i, [("cat", 30, 40, 150, 200)], size=(300, 400))
    result = mini.run({"shorter_side": 100})
    for pictures in result.pictures().values():
        for data in pictures:
            with Image.open(io.BytesIO(data)) as opened:
                assert (opened.size, opened.mode) == ((100, 133), "RGB")
    truth = next(iter(result.truth.values()))
    assert (truth["width"], truth["height"]) == (100, 133)
    assert truth["boxes"][0]["xmin"] == 0.1


def test_the_plan_chooses_and_renames_classes(mini: MiniDataset) -> None:
    result = mini.good(30, ["tabby", "dog", "siamese"]).run({"classes": {"tabby": "cat", "siamese": "cat"}})
    assert [c["name"] for c in result.report["classes"]] == ["cat"]
    # The dogs were not asked for, so they are named but no loss.
    assert result.report["images"] == {"found": 30, "used": 20, "left_out": 10}
    assert result.report["left_out"] == {"no_usable_box": 10, "unknown_class": 10}


def test_a_small_class_is_trained_and_the_report_warns(mini: MiniDataset) -> None:
    mini.good(9, ["cat"])
    mini.pair("rare", 99, [("axolotl", 5, 5, 40, 30)])
    result = mini.run()
    boxes = {c["name"]: c["boxes"] for c in result.report["classes"]}
    assert boxes["axolotl"] == {"train": 1, "validation": 0, "test": 0}
    assert result.report["warnings"] == ["class 'axolotl' is not in validation or test: it has 1 picture; it takes 3"]


def test_awkward_names_do_not_hurt(mini: MiniDataset) -> None:
    for i, stem in enumerate(["ä ö", "100%", "a+b", "con", "x" * 200, "日本語", "a.b.c", " lead", "e\u0301"]):
        mini.pair(stem, i)
    result = mini.run()
    assert result.report["images"] == {"found": 9, "used": 9, "left_out": 0}
    assert all(name.isascii() and len(name) < 100 for name in result.truth)


@pytest.mark.parametrize(
    ("lost", "limit", "fails"), [(2, 0.2, False), (3, 0.2, True), (3, 0.25, False), (1, 0.0, True), (0, 0.0, False)]
)
def test_the_limit_on_losses(lost: int, limit: float, fails: bool, mini: MiniDataset) -> None:
    mini.good(12 - lost)
    for i in range(lost):
        mini.pair(f"zz{i}", 500 + i)
        mini.put(f"images/zz{i}.jpg", picture_bytes(500 + i)[:200])
    plan = {"quarantine": {"max_left_out": limit}}
    if not fails:
        assert mini.run(plan).report["images"]["left_out"] == lost
        return
    with pytest.raises(InvalidInputError) as error:
        mini.run(plan)
    for part in (f"{lost} of 12 pictures", f"the limit is {limit:.0%}", f"corrupt_image ({lost})", "images/zz0.jpg"):
        assert part in str(error.value)
    entries = (mini.paths.report / "quarantine.jsonl").read_text().splitlines()
    assert len(entries) == lost  # what was wrong is listed although the data set was refused


def test_a_published_test_half_without_boxes_is_no_loss(mini: MiniDataset) -> None:
    mini.good(9)
    for i in range(9):
        mini.put(f"images/withheld_{i}.jpg", picture_bytes(600 + i))
    with pytest.raises(InvalidInputError, match=r"9 of 18 pictures .* no_annotation \(9\)"):
        mini.run()
    mini.put("annotations/test.txt", "".join(f"withheld_{i} 1 1 1\n" for i in range(9)))
    assert mini.run().report["left_out"] == {"listed_without_annotation": 9}


@pytest.mark.parametrize(
    ("build", "plan", "complaint"),
    [
        (lambda m: m.put("images/a.jpg", picture_bytes(1)), {}, "no usable annotation: 1 picture and 0 readable"),
        (lambda m: m.put("a.xml", "<annotation"), {}, r"no usable annotation.*bad_annotation.*a\.xml"),
        (lambda m: m.put("data.rar", "Rar!"), {}, r"no usable annotation.*data\.rar.*use \.tar\.gz"),
        (lambda m: [m.pair(f"a{i}", i, [("cat", 9, 9, 9, 9)]) for i in range(9)], {}, r"9 of 9 pictures"),
        (lambda m: [m.pair(f"a{i}", i, [("cat", 9, 9, 9, 9)]) for i in range(9)],
         {"quarantine": {"max_left_out": 1}}, "no usable annotation.*degenerate_box"),
        (lambda m: (m.good(9), m.pair("x", 1, [("owl", 9, 9, 9, 9), ("cat", 5, 5, 40, 30)])), {},
         "no usable picture of the class 'owl' is left.*degenerate_box"),
        (lambda m: m.good(9), {"classes": ["cat", "unicorn"]}, "asks for the class 'unicorn'.*are: 'cat', 'dog'"),
        (lambda m: m.good(2, ["cat"]), {}, "too few to split"),
        (lambda m: m.put("a.zip", "PK not"), {}, r"archive a\.zip cannot be read"),
    ],
)  # fmt: skip
def test_a_data_set_that_cannot_be_used_says_why_in_one_sentence(build, plan, complaint, mini: MiniDataset) -> None:
    build(mini)
    with pytest.raises(InvalidInputError, match=complaint) as error:
        mini.run(plan)
    assert "\n" not in str(error.value)
    assert (mini.paths.report / "quarantine.jsonl").exists()
    assert not (mini.paths.report / "report.json").exists()
    assert not [path for path in mini.paths.work.iterdir() if path.name.startswith("prep-")]


def test_a_plan_for_every_output_and_a_writer_for_every_plan() -> None:
    assert set(CHANNEL_WRITERS) == set(OUTPUTS)


def test_the_label_width_has_room_to_spare() -> None:
    for boxes in (0, 1, 2, 30, 500):
        assert (label_width(boxes) - 2) % 5 == 0
        assert label_width(boxes) >= 2 + 5 * max(boxes * 1.2, boxes + 4)


def test_every_code_is_documented_and_no_other_exists() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        Entry("a", "nonsense", "b")
    assert all(code == code.lower() and " " not in code for code in CODES)


def test_progress_is_told_at_intervals_and_at_the_end() -> None:
    now = [0.0]
    said: list[str] = []
    progress = Progress(100, said.append, interval_seconds=2.0, clock=lambda: now[0])
    for _ in range(100):
        now[0] += 0.1
        progress.advance()
    assert said[0] == "prepared 20/100 images, 10.0 images/s, 8 s left"
    assert said[-1] == "prepared 100/100 images, 10.0 images/s, 0 s left"
    assert len(said) == 5


def test_a_scratch_folder_elsewhere_serves_where_the_volume_is_not_ours(mini: MiniDataset, monkeypatch) -> None:
    real = os.access
    monkeypatch.setattr("os.access", lambda path, mode: path != mini.paths.work and real(path, mode))
    mini.good(9)
    assert prepare(mini.paths, PreparationPlan(), say=lambda line: None, workers=1)["images"]["used"] == 9


def test_pictures_that_are_links_count_as_lost(mini: MiniDataset) -> None:
    mini.good(20)
    store = mini.paths.dataset.parent / "store"
    store.mkdir()
    for path in sorted((mini.paths.dataset / "images").iterdir())[4:]:
        path.rename(store / path.name)
        path.symlink_to(store / path.name)
    with pytest.raises(InvalidInputError, match=r"16 of 20 pictures .* most often: \w+ \(16\)"):
        mini.run()


def test_a_picture_and_its_enlargement_are_not_on_two_sides(mini: MiniDataset) -> None:
    for i in range(12):
        mini.pair(f"small{i}", i, kind="PNG", size=(512, 512), boxes=[("cat", 64, 64, 128, 128)])
        mini.pair(f"large{i}", i, boxes=[("cat", 128, 128, 256, 256)])
        with Image.open(mini.paths.dataset / f"images/small{i}.jpg") as small:
            small.resize((1024, 1024), Image.Resampling.NEAREST).save(
                mini.paths.dataset / f"images/large{i}.jpg", "PNG"
            )
    result = mini.run({"output": "image"})
    assert result.report["images"] == {"found": 24, "used": 12, "left_out": 12}
    assert result.report["left_out"] == {"duplicate_image": 12}
    assert len(list((result.paths.prepared / "train").iterdir())) == result.report["num_training_samples"]


def test_classes_that_differ_only_in_case_are_remarked_on(mini: MiniDataset) -> None:
    mini.good(12, ["cat", "cat", "cat", "Cat"])
    report = mini.run()
    assert [c["name"] for c in report.report["classes"]] == ["Cat", "cat"]
    remarks = [e for e in report.quarantine if e["code"] == "similar_classes"]
    assert [(e["file"], e["reason"]) for e in remarks] == [(
        "annotations/xmls/good_03.xml",
        "the classes 'Cat' (3), 'cat' (9) differ only in case; the plan's classes can make them one",
    )]  # fmt: skip
    assert "similar_classes" not in mini.run({"classes": {"cat": "cat", "Cat": "cat"}}).report["remarks"]


@pytest.mark.parametrize("layout", ["voc", "coco"])
@pytest.mark.parametrize("factor", [1.25, 2])
def test_pictures_enlarged_after_they_were_annotated_have_their_boxes_scaled(layout, factor, mini) -> None:
    draw, pictures = random.Random(3), []
    for seed in range(40):
        (left, right), (top, bottom) = (sorted(draw.sample(range(0, side + 1, 8), 2)) for side in (160, 120))
        pictures.append(Labelled(f"{seed:02d}", (("cat", left, top, right, bottom),), (160, 120), seed))
    LAYOUT_WRITERS[layout](mini, pictures)
    for picture in pictures:
        mini.put(f"images/{picture.stem}.jpg", picture_bytes(picture.seed, (round(160 * factor), round(120 * factor))))
    result = mini.run({"split": {"train": 0.1, "validation": 0.1, "test": 0.8}})
    assert "40 annotations state a smaller size of the same shape" in result.report["conventions"][layout]["evidence"]
    assert len(result.truth) > 20
    for name, truth in result.truth.items():
        [(_, *corners)] = pictures[int(name.partition("-")[0])].boxes
        [box] = truth["boxes"]
        assert [box[edge] for edge in ("xmin", "ymin", "xmax", "ymax")] == pytest.approx(
            [corner / side for corner, side in zip(corners, (160, 120) * 2, strict=True)], abs=1e-6
        )
