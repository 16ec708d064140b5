import tarfile
from collections import Counter
from pathlib import Path

import pytest

from dropspot.errors import InvalidInputError
from dropspot.preparation_plan import PreparationPlan
from prep.model import Annotation, Kind, SourceFile, StatedBox
from prep.oxford import renamed
from prep.quarantine import Quarantine

BREED, SPECIES = PreparationPlan(classes="breed"), PreparationPlan(classes="species")


def annotation(name: str, *classes: str, picture: str | None = None, item: str = "") -> Annotation:
    file = SourceFile(f"annotations/xmls/{name}.xml", Kind.ANNOTATION, Path("unread"))
    boxes = tuple(StatedBox(i, each, 0, 0, 9, 9) for i, each in enumerate(classes or ("cat",)))
    return Annotation(file, f"{name}.jpg" if picture is None else picture, None, boxes, item=item)


def listed(folder: Path, *lines: str) -> list[SourceFile]:
    path = folder / "list.txt"
    path.write_text("\n".join(("#Image CLASS-ID SPECIES BREED ID", *lines)) + "\n")
    return [SourceFile("annotations/list.txt", Kind.LIST, path)]


def names(annotations: list[Annotation]) -> list[list[str]]:
    return [[box.name for box in each.boxes] for each in annotations]


@pytest.mark.parametrize(
    ("picture", "breed"),
    [
        ("american_bulldog_202", "american_bulldog"),
        ("Abyssinian_1", "Abyssinian"),
        ("Egyptian_Mau_167", "Egyptian_Mau"),
        ("staffordshire_bull_terrier_9", "staffordshire_bull_terrier"),
    ],
)
def test_the_breed_is_in_the_name_of_the_picture(picture, breed) -> None:
    assert names(renamed([annotation(picture, "cat", "dog")], [], BREED, Quarantine())) == [[breed, breed]]


def test_the_picture_may_be_named_by_its_path_or_by_the_annotations_own_file() -> None:
    found = [
        annotation("x", picture="C:\\pets\\images\\Bengal_7.jpg"),
        annotation("x", picture="s3://bucket/images/Bengal_7.jpg"),
        annotation("Bengal_7", picture=""),
        annotation("Bengal_7", picture="untitled.jpg"),
    ]
    assert names(renamed(found, [], BREED, Quarantine())) == [["Bengal"]] * 4


def test_a_file_that_describes_many_pictures_names_none_of_them() -> None:
    found = [annotation("Bengal_7"), annotation("annotations_1", picture="77.jpg", item="image 3")]
    quarantine = Quarantine()
    assert names(renamed(found, [], BREED, quarantine)) == [["Bengal"], []]
    assert [(e.code, e.item, e.box) for e in quarantine.entries] == [("unknown_class", "image 3", 0)]


def test_a_picture_named_otherwise_loses_its_boxes_but_not_in_silence() -> None:
    quarantine = Quarantine()
    results = renamed([annotation("Bengal_7"), annotation("IMG_0001", "cat", "dog")], [], BREED, quarantine)
    assert names(results) == [["Bengal"], []]
    assert [(e.code, e.box, e.left_out, e.deliberate) for e in quarantine.entries] == [
        ("unknown_class", 0, True, False),
        ("unknown_class", 1, True, False),
    ]


def test_a_data_set_without_breeds_is_refused_in_one_sentence() -> None:
    with pytest.raises(InvalidInputError, match='classes are "breed", but no picture is named like american_bulldog'):
        renamed([annotation("IMG_0001"), annotation("007")], [], BREED, Quarantine())


def test_nothing_is_refused_where_there_is_nothing() -> None:
    empty = Annotation(SourceFile("a.xml", Kind.ANNOTATION, Path("unread")), "a.jpg", None, ())
    assert renamed([], [], BREED, Quarantine()) == []
    assert renamed([empty], [], BREED, Quarantine()) == [empty]


@pytest.mark.parametrize("classes", [None, ["cat"], {"cat": "tabby"}])
def test_other_classes_are_left_as_they_are(classes) -> None:
    found = [annotation("Bengal_7", "kitten")]
    assert renamed(found, [], PreparationPlan(classes=classes), Quarantine()) == found


def test_the_species_is_told_by_the_list_then_by_the_name_then_by_the_annotation(tmp_path: Path) -> None:
    files = listed(tmp_path, "bengal_8 6 1 2", "Sphynx_1 9 7 3")
    found = [
        annotation("bengal_8", "head"),  # a small letter, but listed as a cat
        annotation("Bengal_9", "head"),
        annotation("pug_3", "cat"),
        annotation("Sphynx_1", "head"),  # no species has the number 7
        annotation("IMG_1", "Dog", "head"),
    ]
    quarantine = Quarantine()
    assert names(renamed(found, files, SPECIES, quarantine)) == [["cat"], ["cat"], ["dog"], ["cat"], ["dog"]]
    assert [(e.code, e.file, e.box) for e in quarantine.entries] == [("unknown_class", "annotations/xmls/IMG_1.xml", 1)]


def test_a_data_set_without_species_is_refused_in_one_sentence() -> None:
    with pytest.raises(InvalidInputError, match=r"\"species\".*'IMG_1'"):
        renamed([annotation("IMG_1", "head")], [], SPECIES, Quarantine())


def test_a_class_id_of_another_breed_is_remarked_on(tmp_path: Path) -> None:
    files = listed(tmp_path, "Bengal_1 6 1 2", "Bengal_2 6 1 2", "pug_1 20 2 9", "pug_2 6 2 9", "not a line", "pug_9")
    quarantine = Quarantine()
    found = [annotation(name) for name in ("Bengal_1", "Bengal_2", "pug_1", "pug_2", "pug_9")]
    assert names(renamed(found, files, BREED, quarantine)) == [["Bengal"], ["Bengal"], ["pug"], ["pug"], ["pug"]]
    [entry] = quarantine.entries
    assert (entry.code, entry.file, entry.left_out) == ("class_id_mismatch", "annotations/xmls/pug_2.xml", False)
    assert "CLASS-ID 6, which is that of Bengal" in entry.reason


def test_the_published_sample_has_three_breeds(shared_datasets: Path, tmp_path: Path) -> None:
    with tarfile.open(shared_datasets / "oxford-pets-sample" / "annotations.tar.gz") as archive:
        archive.extract("annotations/list.txt", tmp_path, filter="data")
        stems = sorted(Path(name).stem for name in archive.getnames() if name.endswith(".xml") and "/._" not in name)
    files = [SourceFile("annotations/list.txt", Kind.LIST, tmp_path / "annotations" / "list.txt")]
    quarantine = Quarantine()
    found = [annotation(stem, "head") for stem in stems]
    breeds = Counter(name for [name] in names(renamed(found, files, BREED, quarantine)))
    species = Counter(name for [name] in names(renamed(found, files, SPECIES, quarantine)))
    assert breeds == Counter(stem.rpartition("_")[0] for stem in stems)
    assert set(breeds) == {"Abyssinian", "Bengal", "american_bulldog"}
    assert species == {"cat": breeds["Abyssinian"] + breeds["Bengal"], "dog": breeds["american_bulldog"]}
    assert quarantine.entries == []
