"""A slice of the fuzzing, and proof that it would notice."""

import itertools
from pathlib import Path
from typing import Any

import pytest
from fuzzing import supervisor

from dropspot.preparation_plan import PreparationPlan
from fuzz.accounting import Input, Output, lost, problems
from fuzz.cases import Case, make_case, origin_of
from fuzz.keeping import keep
from fuzz.saboteurs import forget
from fuzz.seeds import DATASET_URI, SEEDS, dataset
from fuzz.worker import TIMEOUT_SECONDS, try_case
from prep.folders import Folders
from prep.pipeline import prepare

CASES = 300


def unspoilt(origin: str, **more: bytes) -> Case:
    return Case(0, origin, dataset(origin) | more, b'{"quarantine": {"max_left_out": 1}}', ())


def test_a_slice_of_the_cases_has_no_finding(tmp_path: Path) -> None:
    origins = set[tuple[str, str]]()

    def note(answer: dict[str, Any]) -> None:
        origins.add((origin_of(answer["case"]), answer["outcome"]))

    command = ["fuzz.worker", "--seed", "0"]
    tally = supervisor.run(command, iter(range(CASES)), tmp_path, timeout=TIMEOUT_SECONDS, note=note)
    assert [(finding.case, finding.told) for finding in tally.findings] == []
    assert tally.outcomes.total() == CASES
    assert {origin for origin, outcome in origins if outcome == "prepared"} == set(SEEDS)
    assert {origin for origin, outcome in origins if outcome == "refused"} == set(SEEDS)


@pytest.mark.parametrize("origin", SEEDS)
def test_what_the_cases_are_made_from_is_used_completely(origin: str, tmp_path: Path) -> None:
    files = {path for path in dataset(origin) if path.endswith((".md", ".csv", ".DS_Store"))}
    folders = Folders.of_container(tmp_path, {"DROPSPOT_DATASET_URI": DATASET_URI})
    folders.dataset.mkdir(parents=True)
    unspoilt(origin).write(folders.dataset)
    report = prepare(folders, PreparationPlan(), say=lambda line: None, workers=0)
    assert report["images"]["left_out"] == 0
    assert report["left_out"] == ({"unsupported_file": len(files)} if files else {})
    assert problems(folders.dataset, folders.prepared, folders.report) == []


@pytest.mark.parametrize("origin", ["voc", "coco", "yolo"])
def test_pictures_of_kinds_that_are_not_read_are_accounted_for(origin: str, tmp_path: Path) -> None:
    pictures = [path for path in dataset(origin) if path.endswith((".jpg", ".png"))][:3]
    foreign = dict.fromkeys(pictures, b"8BPS\0\1") | {"other/p.avif": b"\0\0\0\x1cftypavif"}
    answer = try_case(unspoilt(origin, **foreign), tmp_path / "there", prepare)
    assert answer["outcome"] == "prepared", answer


def test_a_number_is_the_same_case_every_time() -> None:
    cases = [make_case(7, number) for number in range(100)]
    assert [make_case(7, number) for number in range(100)] == cases
    assert [make_case(8, number) for number in range(100)] != cases
    assert len({(tuple(sorted(case.files.items())), case.plan) for case in cases}) > 80


@pytest.mark.parametrize(
    ("saboteur", "told"),
    [
        ("crash", "ended the process: exit code -11"),
        ("hang", "takes longer than 3 s"),
        ("stumble", "KeyError: 'box'"),
        ("grow", "of memory"),
        ("babble", "a refusal of 30000 characters"),
    ],
)
def test_what_no_case_may_do_is_found_and_kept(saboteur: str, told: str, tmp_path: Path) -> None:
    scratch, timeout = tmp_path / "scratch", 3 if saboteur == "hang" else 60
    scratch.mkdir()
    command = ["fuzz.worker", "--seed", "0", "--prepare", f"fuzz.saboteurs:{saboteur}"]
    tally = supervisor.run(command, iter([3, 4]), scratch, timeout=timeout)
    assert [finding.case for finding in tally.findings] == [3, 4]  # the second one in a child that is fit for it
    assert all(told in finding.told for finding in tally.findings)
    assert [path for path in scratch.rglob("*") if path.is_file()] == [] or saboteur in ("crash", "hang")
    place = keep(0, tally.findings[0], tmp_path)
    kept = {
        p.relative_to(place / "dataset").as_posix(): p.read_bytes() for p in place.rglob("dataset/**/*") if p.is_file()
    }
    assert kept == make_case(0, 3).files
    assert told in (place / "why.txt").read_text()


@pytest.mark.parametrize(
    ("path", "data", "told"),
    [
        ("images/lonely.jpg", b"\xff\xd8\xff", "picture lonely.*: 1 in, 0 used"),
        ("annotations/xmls/lonely.xml", b"<annotation/>", "1 annotations are neither used nor named"),
        ("lonely.doc", b"", "lonely.doc: nothing reads such a file"),
    ],
)
def test_a_file_without_a_word_is_found(path: str, data: bytes, told: str, tmp_path: Path) -> None:
    case = unspoilt("voc", **{path: data})
    assert try_case(case, tmp_path / "sound", prepare)["outcome"] == "prepared"
    answer = try_case(case, tmp_path / "spoilt", forget)
    assert answer["outcome"] == "failed"
    assert told in answer["told"]


def test_members_of_archives_are_accounted_for_one_by_one() -> None:
    report = {"images": {"found": 1, "used": 1, "left_out": 0}}
    output = Output(report, [], {"train": {"a-0123456789ab.jpg"}, "validation": set(), "test": set()})
    picture = Input("x/a.jpg", b"\xff\xd8\xff")
    assert lost([picture], output) == []
    assert lost([picture, picture], output) == ["picture a.*: 2 in, 1 used"]
    for path, named in itertools.product(("x/a.jpg", "pack.tar/x/a.jpg", "x/a.jpg (2)"), (True, False)):
        output.quarantine = [{"file": path if named else "x/b.jpg", "code": "corrupt_image", "reason": ""}]
        assert (lost([picture, picture], output) == []) is named
