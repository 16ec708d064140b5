import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.prep.minis import seeded

from prep.lists import GivenLists
from prep.matching import match
from prep.model import Annotation, Kind, SourceFile, StatedBox
from prep.naming import PictureIndex
from prep.quarantine import Quarantine


def matched(
    annotations: dict[str, str], pictures: list[str], folder: Path | None = None, layout: str = "voc"
) -> tuple[dict[str, str], dict[str, str]]:
    """Annotation path to picture path, and what was left out; `annotations` maps a path to its <filename>."""
    quarantine = Quarantine()
    found = [
        Annotation(SourceFile(path, Kind.ANNOTATION, Path(path)), named, None, (), layout)
        for path, named in annotations.items()
    ]
    pairs = match(found, files(pictures, folder), GivenLists(), quarantine)
    left_out = {e.file: e.code for e in quarantine.entries if e.left_out}
    return {pair.annotation.file.path: pair.picture.path for pair in pairs}, left_out


def files(pictures: Iterable[str], folder: Path | None = None) -> list[SourceFile]:
    return [
        SourceFile(path, Kind.PICTURE, folder / path.replace("/", "_") if folder else Path(path), "", "JPEG")
        for path in pictures
    ]


def matched_entries(
    stated: Sequence[str], pictures: list[str], *, file: str = "all.json", dataset_uri: str = "", part: str = ""
) -> tuple[dict[str, str], dict[str, str]]:
    """Item to picture path, and the code by item, for a file that describes many pictures."""
    quarantine = Quarantine()
    source = SourceFile(file, Kind.ANNOTATION, Path(file))
    found = [Annotation(source, name, None, (), "coco", part, str(number)) for number, name in enumerate(stated)]
    pairs = match(found, files(pictures), GivenLists(), quarantine, dataset_uri=dataset_uri)
    left_out = {e.item: e.code for e in quarantine.entries if e.left_out and e.file == file}
    return {pair.annotation.item: pair.picture.path for pair in pairs}, left_out


def test_the_named_picture_comes_before_the_one_called_alike() -> None:
    assert matched({"x.xml": "b.jpg"}, ["x.jpg", "b.jpg"])[0] == {"x.xml": "b.jpg"}


def test_a_name_that_is_not_there_falls_back_to_the_annotations_own() -> None:
    assert matched({"x.xml": "gone.jpg"}, ["x.jpg"]) == ({"x.xml": "x.jpg"}, {})
    assert matched({"x.xml": ""}, ["x.jpg"]) == ({"x.xml": "x.jpg"}, {})


@pytest.mark.parametrize("named", ["a.JPG", "a", "a.png", "C:\\pictures\\a.jpg", "../elsewhere/a.jpg", "A.jpg"])
def test_a_name_may_have_a_folder_another_suffix_or_case(named: str) -> None:
    assert matched({"labels/1.xml": named}, ["images/a.jpg"]) == ({"labels/1.xml": "images/a.jpg"}, {})


def test_composed_and_decomposed_accents_are_the_same_name() -> None:
    assert matched({"1.xml": "e\u0301te\u0301.jpg"}, ["\u00e9t\u00e9.jpg"])[0] == {"1.xml": "\u00e9t\u00e9.jpg"}


def test_a_picture_another_annotation_agrees_on_is_left_to_that_one() -> None:
    # b.xml was copied from a.xml and still names a.jpg.
    pairs, left_out = matched({"a.xml": "a.jpg", "b.xml": "a.jpg"}, ["a.jpg", "b.jpg"])
    assert pairs == {"a.xml": "a.jpg", "b.xml": "b.jpg"}
    assert left_out == {}


def test_a_stated_name_tells_pictures_of_one_stem_apart(tmp_path: Path) -> None:
    pictures = files(["1.jpg", "1.png"], tmp_path)
    for picture in pictures:
        picture.stored.write_bytes(picture.name.encode())
    source = SourceFile("1.xml", Kind.ANNOTATION, Path("1.xml"))
    quarantine = Quarantine()
    named, nameless = (Annotation(source, name, None, ()) for name in ("1.png", ""))
    (pair,) = match([named], pictures, GivenLists(), quarantine)
    assert pair.picture.path == "1.png"
    assert [(e.file, e.code) for e in quarantine.entries] == [("1.jpg", "no_annotation")]
    assert match([nameless], pictures, GivenLists(), quarantine) == []
    assert ("1.xml", "ambiguous_image") in [(e.file, e.code) for e in quarantine.entries]


def test_a_name_that_every_annotation_states_says_nothing() -> None:
    pairs, _ = matched({"1.xml": "image.jpg", "2.xml": "image.jpg"}, ["1.jpg", "2.jpg", "image.jpg"])
    assert pairs == {"1.xml": "1.jpg", "2.xml": "2.jpg"}


def test_swapped_names_are_believed() -> None:
    pairs, _ = matched({"1.xml": "2.jpg", "2.xml": "1.jpg"}, ["1.jpg", "2.jpg"])
    assert pairs == {"1.xml": "2.jpg", "2.xml": "1.jpg"}


def test_of_two_annotations_of_one_picture_one_is_left_out() -> None:
    pairs, left_out = matched({"a.xml": "a.jpg", "copy of a.xml": "a.jpg"}, ["a.jpg"])
    assert pairs == {"a.xml": "a.jpg"}
    assert left_out == {"copy of a.xml": "duplicate_annotation"}


def test_the_nearest_folder_wins() -> None:
    pictures = ["train/images/1.jpg", "val/images/1.jpg", "images/1.jpg"]
    annotations = {"train/labels/1.xml": "1.jpg", "val/labels/1.xml": "1.jpg", "labels/1.xml": "1.jpg"}
    pairs, left_out = matched(annotations, pictures)
    assert pairs == {
        "train/labels/1.xml": "train/images/1.jpg",
        "val/labels/1.xml": "val/images/1.jpg",
        "labels/1.xml": "images/1.jpg",
    }
    assert left_out == {}


def test_pictures_beside_the_annotations_in_parallel_trees() -> None:
    pairs, _ = matched(
        {"Annotations/cat/1.xml": "1.jpg", "Annotations/dog/1.xml": "1.jpg"}, ["Images/cat/1.jpg", "Images/dog/1.jpg"]
    )
    assert pairs == {"Annotations/cat/1.xml": "Images/cat/1.jpg", "Annotations/dog/1.xml": "Images/dog/1.jpg"}


def test_a_tie_between_different_pictures_is_not_guessed(tmp_path: Path) -> None:
    (tmp_path / "x_1.jpg").write_bytes(b"one")
    (tmp_path / "y_1.jpg").write_bytes(b"other")
    pairs, left_out = matched({"1.xml": "1.jpg"}, ["x/1.jpg", "y/1.jpg"], tmp_path)
    assert pairs == {}
    assert left_out == {"1.xml": "ambiguous_image", "x/1.jpg": "no_annotation", "y/1.jpg": "no_annotation"}
    (tmp_path / "y_1.jpg").write_bytes(b"one")
    pairs, left_out = matched({"1.xml": "1.jpg"}, ["x/1.jpg", "y/1.jpg"], tmp_path)
    assert pairs == {"1.xml": "x/1.jpg"}
    assert left_out == {"y/1.jpg": "no_annotation"}


def test_what_stays_single_is_named() -> None:
    assert matched({"a.xml": "a.jpg", "e.xml": "e.jpg"}, ["a.jpg", "b.jpg"]) == (
        {"a.xml": "a.jpg"},
        {"e.xml": "annotation_without_image", "b.jpg": "no_annotation"},
    )


def test_yolo_labels_find_the_picture_of_their_part_only() -> None:
    pairs, left_out = matched(
        {"labels/train/1.txt": "", "labels/val/1.txt": "", "labels/train/2.txt": ""},
        ["images/train/1.jpg", "images/val/1.jpg", "images/val/2.jpg"],
        layout="yolo",
    )
    assert pairs == {"labels/train/1.txt": "images/train/1.jpg", "labels/val/1.txt": "images/val/1.jpg"}
    assert left_out == {"labels/train/2.txt": "annotation_without_image", "images/val/2.jpg": "no_annotation"}


def test_part_folders_above_images_and_labels() -> None:
    pairs, left_out = matched(
        {"train/labels/1.txt": "", "valid/labels/1.txt": "", "test/labels/2.txt": ""},
        ["train/images/1.jpg", "valid/images/1.jpg", "train/images/2.jpg"],
        layout="yolo",
    )
    assert pairs == {"train/labels/1.txt": "train/images/1.jpg", "valid/labels/1.txt": "valid/images/1.jpg"}
    assert left_out == {"test/labels/2.txt": "annotation_without_image", "train/images/2.jpg": "no_annotation"}


def test_a_part_that_the_whole_data_set_lies_in_says_nothing() -> None:
    assert matched({"test/labels/1.xml": ""}, ["test/images/1.jpg"])[0] == {"test/labels/1.xml": "test/images/1.jpg"}


def test_of_annotations_called_alike_the_nearest_takes_the_picture() -> None:
    pairs, left_out = matched({"a/1.txt": "", "b/1.txt": ""}, ["images/b/1.jpg"], layout="yolo")
    assert pairs == {"b/1.txt": "images/b/1.jpg"}
    assert left_out == {"a/1.txt": "duplicate_annotation"}


def test_a_stated_path_means_the_picture_with_most_of_its_folders() -> None:
    pictures = ["data/train/1.jpg", "data/val/1.jpg", "data/1.jpg", "data/val/x/2.jpg"]
    pairs, left_out = matched_entries(["val/1.jpg", "train/1.jpg", "/home/me/data/1.jpg", "y/2.jpg"], pictures)
    assert pairs == {"0": "data/val/1.jpg", "1": "data/train/1.jpg", "2": "data/1.jpg", "3": "data/val/x/2.jpg"}
    assert left_out == {}


def test_another_folders_picture_is_not_taken_from_who_means_it() -> None:
    pairs, left_out = matched_entries(["a/1.jpg", "b/1.jpg"], ["b/1.jpg"])
    assert (pairs, left_out) == ({"1": "b/1.jpg"}, {"0": "annotation_without_image"})
    pairs, left_out = matched_entries(["train/1.jpg"], ["val/1.jpg"])
    assert (pairs, left_out) == ({}, {"0": "annotation_without_image"})


def test_of_entries_for_one_picture_the_first_wins_by_number() -> None:
    pairs, left_out = matched_entries(["x.jpg"] * 9 + ["1.jpg", "", "1.jpg"], ["1.jpg"])
    assert pairs == {"9": "1.jpg"}
    assert left_out["11"] == "duplicate_annotation"
    assert left_out["10"] == "annotation_without_image"


def test_the_part_that_the_annotations_state_decides_between_namesakes() -> None:
    pictures = ["train2017/1.jpg", "val2017/1.jpg"]
    for part, picture in (("train", "train2017/1.jpg"), ("validation", "val2017/1.jpg")):
        assert matched_entries(["1.jpg"], pictures, part=part)[0] == {"0": picture}


def test_a_file_of_many_entries_is_not_called_like_a_picture() -> None:
    assert matched_entries(["gone.jpg"], ["all.jpg"]) == ({}, {"0": "annotation_without_image"})


def test_a_uri_below_the_data_set_is_a_path_in_it() -> None:
    stated = ["s3://b/datasets/pets/images/1.jpg", "s3://b/datasets/pets/other/2.jpg"]
    pairs, left_out = matched_entries(stated, ["images/1.jpg", "images/2.jpg"], dataset_uri="s3://b/datasets/pets/")
    assert pairs == {"0": "images/1.jpg"}
    assert left_out == {"1": "annotation_without_image"}
    # An archive at the top was unpacked without the folder it was once packed from.
    assert matched_entries(stated[:1], ["1.jpg"], dataset_uri="s3://b/datasets/pets")[0] == {"0": "1.jpg"}


def test_a_uri_elsewhere_is_the_picture_fetched_from_there_or_one_of_its_name_in_the_data_set() -> None:
    pictures = ["s3://one/a/1.jpg", "s3://two/a/1.jpg", "photos/2.jpg"]
    pairs, left_out = matched_entries(["s3://two/a/1.jpg", "s3://three/x/2.jpg", "s3://four/a/1.jpg"], pictures)
    assert pairs == {"0": "s3://two/a/1.jpg", "1": "photos/2.jpg"}
    assert left_out == {"2": "outside_reference"}


def test_a_reference_that_no_input_reaches_says_what_to_do() -> None:
    quarantine = Quarantine()
    source = SourceFile("m.manifest", Kind.ANNOTATION, Path("m.manifest"))
    match([Annotation(source, "s3://far/1.jpg", None, (), "manifest", "", "7")], [], GivenLists(), quarantine)
    assert [(e.code, e.item) for e in quarantine.entries] == [("outside_reference", "7")]
    assert (
        "list the bucket 'far' in ExtraDataBuckets, or put the picture in the data set" in quarantine.entries[0].reason
    )


def test_an_annotation_of_a_picture_of_a_kind_that_is_not_read_says_so() -> None:
    quarantine = Quarantine()
    for path in ("a/1.jxl", "b/1.jxl", "c/1.jxl", "s3://far/2.psd"):
        quarantine.leave_out(path, "unsupported_image", "its content is odd")
    source = SourceFile("m.manifest", Kind.ANNOTATION, Path("m.manifest"))
    label = SourceFile("b/1.txt", Kind.ANNOTATION, Path("1.txt"))
    stated = ["a/1.jxl", "1.jxl", "s3://far/2.psd", "s3://far/3.psd", "4.jxl", "5.jxl"]
    found = [Annotation(source, name, None, (), "manifest", "", str(n)) for n, name in enumerate(stated)]
    found.append(Annotation(label, "", None, (), "yolo"))
    listed = GivenLists(missing={"1.jxl": ("train.txt",), "6.jxl": ("train.txt",)})
    pairs = match(found, files(["5.jpg"]), listed, quarantine)
    assert [(pair.picture.path, pair.annotation.item) for pair in pairs] == [("5.jpg", "5")]  # converted since
    told = {e.item or e.file: (e.code, e.reason) for e in quarantine.entries[4:]}
    lost = "annotation_of_unsupported_image"
    assert told["0"] == (lost, "a/1.jxl, its picture, cannot be used: its content is odd")
    assert told["1"][0] == lost
    assert told["2"] == (lost, "s3://far/2.psd, its picture, cannot be used: its content is odd")
    assert told["b/1.txt"] == (lost, "b/1.jxl, its picture, cannot be used: its content is odd")
    assert {key: code for key, (code, _) in told.items() if code != lost} == {
        "3": "outside_reference",
        "4": "annotation_without_image",
        "6.jxl": "listed_without_annotation",
    }


def test_a_test_folder_without_any_annotation_was_withheld_on_purpose() -> None:
    quarantine = Quarantine()
    found = [Annotation(SourceFile("a.json", Kind.ANNOTATION, Path("a")), "train2017/1.jpg", None, (), "coco")]
    pictures = files(["train2017/1.jpg", "train2017/2.jpg", "test2017/3.jpg"])
    match(found, pictures, GivenLists(), quarantine)
    assert [(e.file, e.code, e.deliberate) for e in quarantine.sorted()] == [
        ("test2017/3.jpg", "no_annotation", True),
        ("train2017/2.jpg", "no_annotation", False),
    ]


def test_a_picture_whose_annotation_cannot_be_read_says_so() -> None:
    quarantine = Quarantine()
    quarantine.leave_out("labels/val/1.xml", "bad_annotation", "not XML")
    match([], files(["images/train/1.jpg", "images/val/1.jpg"]), GivenLists(), quarantine)
    reasons = {e.file: e.reason for e in quarantine.entries}
    assert reasons["images/val/1.jpg"] == "labels/val/1.xml, which should describe it, cannot be used"
    assert reasons["images/train/1.jpg"] == "no annotation describes it"


@pytest.mark.parametrize(
    ("picture", "stated"),
    [
        ("images/{0:06}.jpg", "{0:06}.jpg"),  # one folder
        ("clips/{0:06}/frame.jpg", "clips/{0:06}/frame.jpg"),  # one name
        ("clips/{0:06}/images/frame.jpg", "{0:06}/images/frame.jpg"),
    ],
)
def test_many_pictures_take_time_in_proportion(picture: str, stated: str) -> None:
    count = 20_000
    started = time.process_time()
    pairs, left_out = matched_entries(
        [stated.format(number) for number in range(count)], [picture.format(number) for number in range(count)]
    )
    assert pairs == {str(number): picture.format(number) for number in range(count)}
    assert left_out == {}
    assert time.process_time() - started < 20  # comparing each with each takes minutes


def test_many_pictures_of_one_name_between_common_folders_take_time_in_proportion() -> None:
    numbers = range(5_000)
    started = time.process_time()
    pairs, _ = matched(
        {f"data/labels/{number}/b/f.txt": "" for number in numbers},
        [f"data/images/{number}/a/f.jpg" for number in numbers],
        layout="yolo",
    )
    assert pairs == {f"data/labels/{number}/b/f.txt": f"data/images/{number}/a/f.jpg" for number in numbers}
    assert time.process_time() - started < 10


def test_the_same_tree_in_two_archives_is_told_apart_by_the_archive() -> None:
    def archived(path: str, kind: Kind, archive: str) -> SourceFile:
        return SourceFile(path, kind, Path(path), archive, "JPEG" if kind is Kind.PICTURE else "")

    pictures = [archived("x/1.jpg", Kind.PICTURE, "a.zip"), archived("b.zip/x/1.jpg", Kind.PICTURE, "b.zip")]
    sources = [archived("x/1.xml", Kind.ANNOTATION, "a.zip"), archived("b.zip/x/1.xml", Kind.ANNOTATION, "b.zip")]
    pairs = match([Annotation(s, "1.jpg", None, ()) for s in sources], pictures, GivenLists(), Quarantine())
    assert {p.annotation.file.path: p.picture.path for p in pairs} == {
        "x/1.xml": "x/1.jpg", "b.zip/x/1.xml": "b.zip/x/1.jpg"
    }  # fmt: skip
    # The second archive alone has an annotation, so that its path met no other.
    alone = archived("x/1.xml", Kind.ANNOTATION, "b.zip")
    pairs = match([Annotation(alone, "1.jpg", None, ())], pictures, GivenLists(), Quarantine())
    assert [p.picture.path for p in pairs] == ["b.zip/x/1.jpg"]


trees = st.lists(st.lists(st.sampled_from("abcd"), max_size=5).map(tuple), unique=True, min_size=1, max_size=60)


@given(trees, st.lists(st.sampled_from("abcde"), max_size=5), st.lists(st.sampled_from("abcde"), max_size=4))
@seeded
def test_of_few_and_of_many_namesakes_the_longest_trailing_path_is_found(
    tree: list[tuple[str, ...]], stated: list[str], near: list[str]
) -> None:
    def shared(folders: tuple[str, ...]) -> int:
        return next((n for n in range(min(len(folders), len(stated)), 0, -1) if folders[-n:] == tuple(stated[-n:])), 0)

    # All pictures have the same content, so that ties are nobody's loss.
    pictures = [SourceFile("/".join([*folders, "1.jpg"]), Kind.PICTURE, Path(__file__), "", "JPEG") for folders in tree]
    asker = SourceFile("/".join([*near, "x.json"]), Kind.ANNOTATION, Path(__file__))
    found = PictureIndex(pictures).find("/".join([*stated, "1.png"]), asker)
    assert found is not None
    assert found.folders == shared(tuple(found.picture.path.split("/")[:-1]))
    assert found.folders == max(map(shared, tree))


names = st.sampled_from(["a", "b", "c", "A", "x/a", "x/b", "y/a"])


@given(
    st.dictionaries(names.map("{}.xml".format), st.sampled_from(["", "a.jpg", "b", "c.png", "zzz"]), max_size=6),
    st.sets(names.map("{}.jpg".format), max_size=6),
)
@seeded
def test_every_file_is_used_once_or_named(annotations: dict[str, str], pictures: set[str]) -> None:
    # Reading the content of tied candidates fails here, as nothing is on disk: such ties are another test's.
    try:
        pairs, left_out = matched(annotations, sorted(pictures))
    except FileNotFoundError:
        return
    assert len(set(pairs.values())) == len(pairs)
    assert set(pairs) | set(left_out) >= set(annotations)
    assert not set(pairs) & set(left_out)
    assert set(pairs.values()) | set(left_out) >= pictures
    assert not set(pairs.values()) & set(left_out)


def two_folders(numbers: Iterable[int], *, missing: Sequence[str] = ()) -> tuple[dict[str, str], list[str]]:
    """Folders a/ and b/ with pictures of the same names, each beside its annotation, but for the missing files."""
    annotations = {f"{folder}/{n}.xml": f"{n}.jpg" for folder in "ab" for n in numbers}
    pictures = [f"{folder}/{n}.jpg" for folder in "ab" for n in numbers]
    return {a: n for a, n in annotations.items() if a not in missing}, [p for p in pictures if p not in missing]


def test_a_namesake_in_a_folder_with_annotations_of_its_own_is_not_meant() -> None:
    pairs, left_out = matched(*two_folders(range(3), missing=["a/2.xml", "b/2.jpg"]))
    assert pairs == {f"{folder}/{n}.xml": f"{folder}/{n}.jpg" for folder in "ab" for n in range(2)}
    assert left_out == {"b/2.xml": "annotation_without_image", "a/2.jpg": "no_annotation"}


def test_a_namesake_is_not_meant_where_all_pictures_of_the_annotations_are_missing() -> None:
    pairs, left_out = matched(*two_folders(range(3), missing=["a/2.xml", *(f"b/{n}.jpg" for n in range(3))]))
    assert pairs == {f"a/{n}.xml": f"a/{n}.jpg" for n in range(2)}
    assert left_out["b/2.xml"] == "annotation_without_image"
    assert left_out["b/1.xml"] == "duplicate_annotation"


def test_entries_of_one_file_do_not_mean_the_namesakes_beside_another_file() -> None:
    stated = {"a/all.json": ["1.jpg", "2.jpg"], "b/all.json": ["1.jpg", "3.jpg"]}
    found = [
        Annotation(SourceFile(path, Kind.ANNOTATION, Path(path)), name, None, (), "coco", "", name)
        for path, names in stated.items()
        for name in names
    ]
    pairs = match(found, files(["a/1.jpg", "b/1.jpg", "a/2.jpg", "a/3.jpg"]), GivenLists(), Quarantine())
    assert [(p.picture.path, p.annotation.file.path) for p in pairs] == [
        ("a/1.jpg", "a/all.json"), ("a/2.jpg", "a/all.json"), ("b/1.jpg", "b/all.json")
    ]  # fmt: skip


def test_two_archives_of_the_same_names_keep_to_themselves() -> None:
    def archived(name: str, kind: Kind, archive: str, prefix: str = "") -> SourceFile:
        return SourceFile(f"{prefix}{name}", kind, Path(name), archive, "JPEG" if kind is Kind.PICTURE else "")

    pictures = [archived("1.jpg", Kind.PICTURE, "a.zip"), archived("1.jpg", Kind.PICTURE, "b.zip", "b.zip/")]
    pictures.append(archived("2.jpg", Kind.PICTURE, "a.zip"))
    sources = [archived("1.xml", Kind.ANNOTATION, "a.zip"), archived("1.xml", Kind.ANNOTATION, "b.zip", "b.zip/")]
    sources.append(archived("2.xml", Kind.ANNOTATION, "b.zip"))
    pairs = match([Annotation(s, "", None, ()) for s in sources], pictures, GivenLists(), Quarantine())
    assert [p.picture.path for p in pairs] == ["1.jpg", "b.zip/1.jpg"]


@pytest.mark.parametrize(
    "pairs",
    [
        {"annotations/xmls/1.xml": "images/1.jpg", "annotations/xmls/2.xml": "images/2.jpg"},
        {"labels/train/1.xml": "images/train/1.jpg", "labels/val/1.xml": "images/val/1.jpg"},
        {"train/labels/1.xml": "train/images/1.jpg", "train/labels/2.xml": "train/images/2.jpg"},
        {"a/1.xml": "a/1.jpg", "2.xml": "a/b/c/2.jpg", "x/y/3.xml": "a/3.jpg", "a/4.xml": "4.jpg"},
        {"xmls/1.xml": "cat/1.jpg", "xmls/2.xml": "dog/2.jpg", "xmls/3.xml": "cat/3.jpg"},
        {"a/xmls/1.xml": "a/1.jpg", "a/xmls/2.xml": "a/deep/2.jpg", "b/xmls/1.xml": "b/1.jpg"},
        # Moved after they were annotated: names used once leave no doubt.
        {"all/1.xml": "all/1.jpg", "all/2.xml": "test/2.jpg", "test/3.xml": "test/3.jpg"},
        {"job1/1.xml": "batch1/1.jpg", "job1/2.xml": "batch2/2.jpg", "job2/3.xml": "batch1/3.jpg"},
    ],
)
def test_pictures_may_lie_anywhere_where_their_names_leave_no_doubt(pairs: dict[str, str]) -> None:
    assert matched(dict.fromkeys(pairs, ""), list(pairs.values())) == (pairs, {})


def test_the_channels_of_sagemaker_may_use_the_same_names() -> None:
    pairs = {
        f"{channel}_annotation/{n}.json": f"{channel}/{n}.jpg" for channel in ("train", "validation") for n in range(3)
    }
    stated = {path: picture.rpartition("/")[2] for path, picture in pairs.items()}
    assert matched(stated, list(pairs.values()), layout="sagemaker-json") == (pairs, {})


def test_a_picture_without_label_file_among_labelled_ones_shows_nothing() -> None:
    labels = {f"labels/train/{n}.txt": "" for n in range(3)}
    pictures = [f"images/train/{n}.jpg" for n in range(5)] + ["images/val/9.jpg"]
    left_out = matched(labels, pictures, layout="yolo")[1]
    assert left_out == {
        "images/train/3.jpg": "no_object", "images/train/4.jpg": "no_object", "images/val/9.jpg": "no_annotation"
    }  # fmt: skip
    # Another layout has no such rule, and with few labels the work is unfinished.
    assert matched(labels, pictures)[1]["images/train/3.jpg"] == "no_annotation"
    unfinished = [f"images/train/{n}.jpg" for n in range(7)]
    assert set(matched(labels, unfinished, layout="yolo")[1].values()) == {"no_annotation"}


def test_a_label_that_is_not_used_is_not_missing() -> None:
    quarantine = Quarantine()
    quarantine.leave_out("labels/3.txt", "unsafe_member", "it is a link or a device")
    labels = [
        Annotation(SourceFile(f"labels/{n}.txt", Kind.ANNOTATION, Path("x")), "", None, (), "yolo") for n in range(3)
    ]
    match(labels, files([f"images/{n}.jpg" for n in range(5)]), GivenLists(), quarantine)
    entries = {e.file: (e.code, e.deliberate) for e in quarantine.entries}
    assert entries["images/3.jpg"] == ("no_annotation", False)
    assert entries["images/4.jpg"] == ("no_object", True)


def entries_of_one_file(*rows: tuple[str, str, float]) -> tuple[list[list[tuple[int, float]]], list[tuple[str, str]]]:
    """Boxes of each pair, and what was said; rows are item, picture and the box's left edge."""
    source, quarantine = SourceFile("m.manifest", Kind.ANNOTATION, Path("m")), Quarantine()
    found = [
        Annotation(source, name, None, (StatedBox(0, "cat", left, 0, 50, 50),), "manifest", "", item)
        for item, name, left in rows
    ]
    pairs = match(found, files(["1.jpg", "2.jpg"]), GivenLists(), quarantine)
    boxes = [[(box.index, box.xmin) for box in pair.annotation.boxes] for pair in pairs]
    return boxes, [(entry.item, entry.code) for entry in quarantine.sorted() if entry.item]


def test_entries_of_one_file_with_a_box_each_are_one_annotation() -> None:
    rows = [("line 1", "1.jpg", 1.0), ("line 2", "2.jpg", 2.0), ("line 3", "1.jpg", 3.0), ("line 4", "1.jpg", 1.0)]
    boxes, said = entries_of_one_file(*rows)
    assert boxes == [[(0, 1.0), (1, 3.0)], [(0, 2.0)]]
    assert said == [("line 3", "merged_annotation"), ("line 4", "duplicate_annotation")]


def test_entries_that_state_different_places_are_not_put_together() -> None:
    boxes, said = entries_of_one_file(("line 1", "1.jpg", 1.0), ("line 2", "a/1.jpg", 2.0))
    assert boxes == [[(0, 1.0)]]
    assert [item for item, _ in said] == ["line 2"]
