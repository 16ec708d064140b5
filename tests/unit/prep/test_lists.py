import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.prep.minis import seeded

from prep.lists import GivenLists, part_of_list, read_lists, withheld
from prep.matching import match
from prep.model import Annotation, Kind, SourceFile
from prep.naming import fold, path_parts
from prep.quarantine import Quarantine


def read(
    folder: Path, lists: Mapping[str, str | bytes], pictures: Sequence[str], annotations: Sequence[str] = ()
) -> tuple[GivenLists, Quarantine]:
    files = [SourceFile(path, Kind.PICTURE, folder / f"picture{n}", "", "JPEG") for n, path in enumerate(pictures)]
    for n, path in enumerate(pictures):
        (folder / f"picture{n}").write_text(path)
    files += [SourceFile(path, Kind.ANNOTATION, folder / "annotation") for path in annotations]
    for number, (path, text) in enumerate(lists.items()):
        stored = folder / f"list{number}"
        stored.write_bytes(text if isinstance(text, bytes) else text.encode())
        files.append(SourceFile(path, Kind.LIST, stored))
    quarantine = Quarantine()
    return read_lists(files, quarantine), quarantine


@pytest.mark.parametrize(
    "line",
    [
        "cat_1", "cat_1.jpg", "cat_1 1 1 1", "cat_1 -1", "  cat_1.jpg\t0  ", "images/cat_1.jpg", "./images/cat_1.jpg",
        "/home/somebody/data/images/cat_1.jpg", "D:\\data\\images\\cat_1.JPG", "CAT_1", "cat_1.png",
        "images/cat_1.jpg annotations/cat_1.xml",
    ],
)  # fmt: skip
def test_a_line_is_a_name_or_a_path_alone_or_with_numbers(line: str, tmp_path: Path) -> None:
    listed, quarantine = read(tmp_path, {"list.txt": f"# names\n\n{line}\n"}, ["images/cat_1.jpg", "images/b.jpg"])
    assert listed.named == {"images/cat_1.jpg": ("list.txt",)}
    assert (listed.missing, quarantine.entries, listed.lists) == ({}, [], {"list.txt": 1})


def test_a_name_may_have_spaces_dots_and_a_byte_order_mark(tmp_path: Path) -> None:
    text = b"\xef\xbb\xbfmy cat 1\nmy cat 1 2\nimages/a b.jpg 1\ncat.1\nmy dog.jpg\n"
    listed, _ = read(
        tmp_path, {"list.txt": text}, ["images/my cat 1.jpg", "images/a b.jpg", "cat.jpg", "my.jpg"], ["cat.1.xml"]
    )
    assert set(listed.named) == {"images/my cat 1.jpg", "images/a b.jpg"}
    assert set(listed.missing) == {"cat.1", "my dog.jpg"}


def test_a_path_tells_pictures_of_one_name_apart(tmp_path: Path) -> None:
    pictures = ["set/train/1.jpg", "set/val/1.jpg", "set/val/deep/1.jpg"]
    lists = {"a.txt": "train/1.jpg", "b.txt": "x/set/val/1.jpg", "c.txt": "val\\deep\\1", "d.txt": "deep/1 1"}
    assert read(tmp_path, lists, pictures)[0].named == {
        "set/train/1.jpg": ("a.txt",),
        "set/val/1.jpg": ("b.txt",),
        "set/val/deep/1.jpg": ("c.txt", "d.txt"),
    }


def test_a_bare_name_means_the_picture_nearest_to_the_list_or_of_its_part(tmp_path: Path) -> None:
    lists = {"cats/list.txt": "1", "dogs/list.txt": "1", "val.txt": "2"}
    pictures = ["cats/images/1.jpg", "dogs/images/1.jpg", "train/2.jpg", "val/2.jpg"]
    listed, quarantine = read(tmp_path, lists, pictures)
    assert listed.named == {
        "cats/images/1.jpg": ("cats/list.txt",),
        "dogs/images/1.jpg": ("dogs/list.txt",),
        "val/2.jpg": ("val.txt",),
    }
    assert quarantine.entries == []


def test_a_bare_name_of_several_pictures_is_reported(tmp_path: Path) -> None:
    listed, quarantine = read(tmp_path, {"list.txt": "1\n2\n"}, ["cats/1.jpg", "dogs/1.jpg", "dogs/2.jpg"])
    assert listed.named == {"dogs/2.jpg": ("list.txt",)}
    assert [(e.file, e.code, e.item) for e in quarantine.entries] == [("list.txt", "ambiguous_image", "1")]


def test_a_path_of_another_folder_does_not_mean_a_picture_that_is_named_better(tmp_path: Path) -> None:
    lists = {"train.txt": "a/1.jpg\nb/2.jpg", "val.txt": "b/1.jpg"}
    listed, _ = read(tmp_path, lists, ["b/1.jpg", "c/2.jpg"])
    assert listed.named == {"b/1.jpg": ("val.txt",), "c/2.jpg": ("train.txt",)}
    assert listed.missing == {"a/1.jpg": ("train.txt",)}


def test_a_picture_of_another_part_is_not_meant(tmp_path: Path) -> None:
    listed, _ = read(tmp_path, {"all.txt": "images/train/1.jpg"}, ["images/val/1.jpg"])
    assert listed.missing == {"images/train/1.jpg": ("all.txt",)}


def test_a_list_that_is_no_text_is_left_out(tmp_path: Path) -> None:
    listed, quarantine = read(tmp_path, {"list.txt": b"\xff\xfe\0"}, ["a.jpg"])
    assert listed.lists == {}
    assert [(e.file, e.code) for e in quarantine.entries] == [("list.txt", "unsupported_file")]


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("BCCD/ImageSets/Main/train.txt", "train"),
        ("ImageSets/Main/val.txt", "validation"),
        ("data/valid.txt", "validation"),
        ("validation.txt", "validation"),
        ("train2017.txt", "train"),
        ("annotations/trainval.txt", "trainval"),
        ("Test.txt", "test"),
        ("ImageSets/train.txt", "train"),
        ("ImageSets/Main/cat_train.txt", ""),
        ("ImageSets/Segmentation/train.txt", ""),
        ("list.txt", ""),
    ],
)
def test_the_part_that_a_list_stands_for(path: str, part: str) -> None:
    assert part_of_list(path) == part


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        (["list.txt", "test.txt"], True),
        (["ImageSets/Main/cat_test.txt"], True),
        (["test.txt", "trainval.txt"], False),
        (["list.txt"], False),
        ([], False),
    ],
)
def test_only_a_test_list_withholds_boxes_on_purpose(lists: list[str], expected: bool) -> None:
    assert withheld(lists) is expected


def test_listed_pictures_without_annotation_and_names_without_anything_are_named(tmp_path: Path) -> None:
    lists = {"list.txt": "a\nc\nd\ne\nf/g.jpg\n", "test.txt": "c\n"}
    listed, quarantine = read(tmp_path, lists, ["a.jpg", "c.jpg"], ["e.xml"])
    annotations = [Annotation(SourceFile(f"{n}.xml", Kind.ANNOTATION, tmp_path), "", None, ()) for n in "ae"]
    pictures = [SourceFile(f"{n}.jpg", Kind.PICTURE, tmp_path, "", "JPEG") for n in "ac"]
    match(annotations, pictures, listed, quarantine)
    assert [(e.file, e.code, e.deliberate) for e in quarantine.sorted()] == [
        ("c.jpg", "listed_without_annotation", True),
        ("d", "listed_without_annotation", False),
        ("e.xml", "annotation_without_image", False),
        ("f/g.jpg", "listed_without_annotation", False),
    ]


words = st.sampled_from(["a", "b", "train", "val", "é", "A b"])
paths = st.builds(
    lambda folders, name: "/".join([*folders, f"{name}.jpg"]),
    st.lists(words, max_size=3),
    st.sampled_from(["1", "2", "x.y", "3 4", "ü"]),
)
forms = st.tuples(
    st.integers(0, 3),  # folders to leave away from the beginning, if what remains is clear
    st.sampled_from(["", "./", "/home/me/", "C:\\Users\\me\\"]),
    st.sampled_from(["/", "\\"]),
    st.sampled_from([".jpg", ".png", ""]),
    st.sampled_from(["", " 1", " 1 1 1", " -1"]),
)


@given(st.lists(st.tuples(paths, forms), max_size=12, unique_by=lambda row: fold(row[0])))
@seeded
def test_any_mixture_of_names_and_paths_means_what_it_says(
    rows: list[tuple[str, tuple[int, str, str, str, str]]],
) -> None:
    known = [path_parts(fold(path.removesuffix(".jpg"))) for path, _ in rows]
    lines, expected = [], set()
    for path, (dropped, prefix, separator, suffix, numbers) in rows:
        parts = path_parts(path.removesuffix(".jpg"))
        kept = parts[min(dropped, len(parts) - 1) :]
        ending = [fold(part) for part in kept]
        if sum(other[-len(ending) :] == ending for other in known) > 1:
            kept, ending = parts, [fold(part) for part in parts]
        if sum(other[-len(ending) :] == ending for other in known) > 1 or (kept != parts and len(prefix) > 2):
            # a/1 beside b/a/1, and invented folders before a part of a path, say too little.
            continue
        lines.append(prefix + separator.join(kept) + suffix + numbers)
        expected.add(path)
    with tempfile.TemporaryDirectory() as folder:
        listed, quarantine = read(Path(folder), {"list.txt": "\n".join(lines)}, [path for path, _ in rows])
    assert set(listed.named) == expected
    assert not listed.missing
    assert not quarantine.entries


@given(st.lists(paths, max_size=8, unique=True), st.lists(paths, max_size=8), st.randoms())
@seeded
def test_every_name_is_resolved_missing_or_reported_whatever_the_order(pictures, names, shuffler) -> None:
    with tempfile.TemporaryDirectory() as folder:
        listed, quarantine = read(Path(folder), {"x/list.txt": "\n".join(names)}, pictures)
        shuffler.shuffle(pictures)
        shuffler.shuffle(names)
        again, second = read(Path(folder), {"x/list.txt": "\n".join(names)}, pictures)
    assert (again.named, again.missing, second.sorted()) == (listed.named, listed.missing, quarantine.sorted())
    reported = {entry.item for entry in quarantine.entries}
    assert listed.lists["x/list.txt"] == len(set(names))
    assert len(listed.missing) + len(reported) + len(listed.named) <= len(set(names))
    assert set(listed.missing) | reported <= set(names)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32", "utf-8-sig"])
def test_a_marked_list_is_read_in_its_encoding(encoding: str, tmp_path: Path) -> None:
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    listed, quarantine = read(tmp_path, {"test.txt": (mark + "ä\r\nb\r\n").encode(encoding)}, ["ä.jpg", "b.jpg"])
    assert listed.named == {"ä.jpg": ("test.txt",), "b.jpg": ("test.txt",)}
    assert (listed.unreadable, quarantine.entries) == ((), [])


def test_an_unreadable_list_of_a_part_is_kept_in_mind(tmp_path: Path) -> None:
    lists = {"list.txt": b"\xff", "test.txt": "a".encode("utf-16-le"), "val.txt": b"\xe4"}
    listed, quarantine = read(tmp_path, lists, ["a.jpg"])
    assert (listed.lists, listed.unreadable) == ({}, ("test.txt", "val.txt"))
    assert {e.file for e in quarantine.entries} == set(lists)
    quarantine.leave_out("x/test.txt", "unsafe_member", "it is a link or a device")
    quarantine.leave_out("x/test.jpg", "unsafe_member", "it is a link or a device")
    assert read_lists([], quarantine).unreadable == ("x/test.txt",)


def test_a_file_that_names_pictures_but_is_called_otherwise_is_kept_in_mind(tmp_path: Path) -> None:
    texts = {"train_ids.txt": "a\nb.jpg\n", "val-list.txt": "x\ny\n", "train_1.txt": "a\n", "test_ids.txt": "0 1 1 1 1"}
    files = [SourceFile(path, Kind.ANNOTATION, tmp_path / path) for path in texts]
    for path, text in texts.items():
        (tmp_path / path).write_text(text)
    files += [SourceFile(f"{name}.jpg", Kind.PICTURE, tmp_path, "", "JPEG") for name in "ab0"]
    listed = read_lists(files, Quarantine())
    assert listed.unfollowed == listed.paths == ("train_ids.txt",)


def test_lists_of_more_names_than_any_data_set_has_are_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prep.lists.MAX_NAMES", 3)
    listed, quarantine = read(tmp_path, {"test.txt": "a\nb", "train.txt": "c\nd"}, ["a.jpg", "c.jpg"])
    assert (listed.lists, listed.unreadable) == ({"test.txt": 2}, ("train.txt",))
    assert [(e.file, e.code) for e in quarantine.entries if e.code != "listed_without_annotation"] == [
        ("train.txt", "file_too_large")
    ]
