"""`python -m prep SOURCE... OUT`: the container's code on a user's own files."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from unit.prep.minis import MiniDataset, picture_bytes, voc_xml
from unit.prep.test_container import CODE, alive_in_session

from dropspot.errors import InvalidInputError
from dropspot.plan import PlanDefaults, TrainingPlan
from prep.folders import Folders
from prep.standalone import Request, parse, presented, run


def request(*words: object) -> Request:
    return parse([str(word) for word in words])


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def prepared(*words: object) -> list[str]:
    said: list[str] = []
    run(request(*words, "--workers", 1), said.append)
    return said


def test_a_folder_gives_what_the_container_gives(mini: MiniDataset, tmp_path: Path) -> None:
    result = mini.good(12).run()
    prepared(mini.paths.dataset, tmp_path / "out")
    assert tree(tmp_path / "out" / "prepared") == result.prepared()
    assert tree(tmp_path / "out" / "report") == tree(result.paths.report)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["prepared", "report"]


def test_archives_give_what_a_folder_of_them_gives(mini: MiniDataset, tmp_path: Path) -> None:
    files = mini.good(12).files()
    for part in ("images", "annotations"):
        mini.tar(f"../{part}.tar.gz", {path: data for path, data in files.items() if path.startswith(part)})
    folder = mini.paths.dataset.parent
    prepared(folder / "images.tar.gz", folder / "annotations.tar.gz", tmp_path / "out")
    assert tree(tmp_path / "out" / "prepared") == mini.run().prepared()
    (tmp_path / "link.tar.gz").symlink_to(folder / "images.tar.gz")
    prepared(tmp_path / "link.tar.gz", folder / "annotations.tar.gz", tmp_path / "out")
    assert tree(tmp_path / "out" / "prepared") == mini.run().prepared()


def test_it_ends_with_where_things_lie(mini: MiniDataset, tmp_path: Path) -> None:
    mini.good(12).put("notes.doc", b"no picture")
    said = prepared(mini.paths.dataset, tmp_path / "out")
    report = json.loads((tmp_path / "out" / "report" / "report.json").read_text())
    told = "\n".join(said[-7:])
    for fact in (
        "prepared 12 of 12 images: ",
        f"channels     {tmp_path / 'out' / 'prepared'}",
        "classes      2: cat, dog",
        f"label_width  {report['label_width']}",
        f"split        {report['split']['reason']}",
        f"left out     1 entry, listed in {tmp_path / 'out' / 'report' / 'quarantine.jsonl'}",
        f"report       {tmp_path / 'out' / 'report' / 'report.html'}",
    ):
        assert fact in told


def test_warnings_are_printed_once_before_the_summary(mini: MiniDataset, tmp_path: Path) -> None:
    mini.good(12).pair("rare", 7, [("axolotl", 5, 5, 40, 30)])
    said = prepared(mini.paths.dataset, tmp_path / "out")
    told = "warning: class 'axolotl' is not in validation or test: it has 1 picture; it takes 3"
    assert said.count(told) == 1
    assert said.index(told) < next(n for n, line in enumerate(said) if line.startswith("prepared 13 of 13 images"))


def test_the_plan_is_the_given_one_or_the_data_sets_own(mini: MiniDataset, tmp_path: Path) -> None:
    mini.good(20).put("training.json", json.dumps({"classes": ["cat"], "spot": True}))
    out = tmp_path / "out"
    prepared(mini.paths.dataset, out)
    assert json.loads((out / "prepared" / "classes.json").read_text()) == {"classes": ["cat"]}
    (tmp_path / "mine.json").write_text(json.dumps({"classes": {"dog": "hound"}}))
    prepared(mini.paths.dataset, out, "--plan", tmp_path / "mine.json")
    assert json.loads((out / "prepared" / "classes.json").read_text()) == {"classes": ["hound"]}


def test_a_plan_that_states_everything_a_training_plan_may_is_prepared_by(mini: MiniDataset, tmp_path: Path) -> None:
    stated = {
        "hyperparameters": {"epochs": 3},
        "incremental": True,
        "tuning": {"ranges": {"learning_rate": {"min": 0.001, "max": 0.1}}},
    }
    defaults = {"instance": {"type": "ml.m5.xlarge", "count": 1}, "spot": False, "max_runtime_seconds": 60}
    parameters = PlanDefaults.from_document({**defaults, "epochs": 0, "gate": {"min_map50": 0.5}})
    document = TrainingPlan.parse(json.dumps(stated).encode(), parameters, "built-in").document
    assert TrainingPlan.parse(json.dumps(document).encode(), parameters, "built-in").document == document
    mini.good(20).put("training.json", json.dumps(document))
    assert prepared(mini.paths.dataset, tmp_path / "out")


@pytest.mark.parametrize(
    ("plan", "sentence"),
    [
        ("{", "mine.json is not JSON that can be kept"),
        ('{"clases": ["cat"]}', "mine.json: clases is no field of the training plan"),
        ('{"split": {"train": 2}}', "mine.json: split: train is 2"),
        (None, "mine.json does not exist"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused_before_anything_is_written(
    mini: MiniDataset, tmp_path: Path, plan: str | None, sentence: str
) -> None:
    mini.good(3)
    if plan is not None:
        (tmp_path / "mine.json").write_text(plan)
    with pytest.raises(InvalidInputError, match=sentence):
        prepared(mini.paths.dataset, tmp_path / "out", "--plan", tmp_path / "mine.json")
    assert not (tmp_path / "out").exists()


def test_sources_and_output_must_lie_apart(mini: MiniDataset, tmp_path: Path) -> None:
    mini.good(3)
    before = mini.files()
    source = mini.paths.dataset
    for out in (source, source / "images", source / "new", source.parent, source / ".." / "dataset"):
        with pytest.raises(InvalidInputError, match="choose "):
            prepared(source, out)
    (tmp_path / "link").symlink_to(source)
    with pytest.raises(InvalidInputError, match="choose "):
        prepared(source, tmp_path / "link" / "new")
    assert mini.files() == before


def test_a_missing_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="nowhere does not exist"):
        prepared(tmp_path / "nowhere", tmp_path / "out")


@pytest.mark.parametrize(
    "content",
    [
        {"thesis.txt": "years of work"},
        {"report/report.json": "{}", "prepared/classes.json": "{}"},
        {"report/report.json": '{"schema": "dropspot/report/1"}', "prepared/x": "", "more": ""},
        {"report/thesis.txt": ""},
        {"prepared/thesis.txt": ""},
        {".preparing/x": ""},
    ],
)
def test_a_folder_of_the_users_own_is_not_touched(mini: MiniDataset, tmp_path: Path, content: dict[str, str]) -> None:
    mini.good(9)
    out = tmp_path / "out"
    for path, text in content.items():
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        (out / path).write_text(text)
    with pytest.raises(InvalidInputError, match=r"something else|another preparation"):
        prepared(mini.paths.dataset, out)
    assert tree(out) == {path: text.encode() for path, text in content.items()}


@pytest.mark.parametrize("output", ["recordio", "image", "augmented-manifest"])
def test_a_file_of_the_users_own_among_an_earlier_preparations_is_not_touched(
    mini: MiniDataset, tmp_path: Path, output: str
) -> None:
    mini.good(12)
    out, plan = tmp_path / "out", tmp_path / "plan.json"
    plan.write_text(json.dumps({"output": output}))
    words = (mini.paths.dataset, out, "--plan", plan, "--prepared-uri", "s3://bucket/prefix")
    prepared(*words)
    first = tree(out)
    prepared(*words)  # nothing in it is taken for the user's own
    assert tree(out) == first
    for mine in ("report/notes.txt", "prepared/model.params", "prepared/train/holiday.jpg", "prepared/new/a.rec"):
        (out / mine).parent.mkdir(exist_ok=True)
        (out / mine).write_text("years of work")
        with pytest.raises(InvalidInputError, match=f"holds {mine}, which no preparation wrote"):
            prepared(*words)
        assert tree(out) == {**first, mine: b"years of work"}
        (out / mine).unlink()


def test_what_a_file_browser_leaves_in_the_output_is_nobodys_own(mini: MiniDataset, tmp_path: Path) -> None:
    mini.good(12)
    out = tmp_path / "out"
    out.mkdir()
    (out / ".DS_Store").touch()
    prepared(mini.paths.dataset, out)
    for folder in (out / "report", out / "prepared" / "train"):
        (folder / ".DS_Store").touch()
    prepared(mini.paths.dataset, out)
    assert sorted(path.name for path in out.iterdir()) == [".DS_Store", "prepared", "report"]


def test_what_may_not_be_read_is_named_for_one_source_and_for_several(locked_out: Path) -> None:
    mini = MiniDataset(locked_out / "ml").good(12)
    locked = ("annotations/locked", "annotations/locked.jpg")
    mini.put(f"{locked[0]}/a.jpg", b"")
    mini.put(locked[1], b"")
    for path in locked:
        (mini.paths.dataset / path).chmod(0)
    several = [mini.paths.dataset / "annotations", mini.paths.dataset / "images"]
    for sources, names in (([mini.paths.dataset], locked), (several, ("locked", "locked.jpg"))):
        run(request(*sources, locked_out / "out", "--workers", 0), print)
        lines = (locked_out / "out" / "report" / "quarantine.jsonl").read_text().splitlines()
        left_out = {entry["file"]: entry["code"] for entry in map(json.loads, lines)}
        assert left_out == dict.fromkeys(names, "unreadable_file")
        assert sorted(path.name for path in (locked_out / "out").iterdir()) == ["prepared", "report"]


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_it_goes_on_where_nobody_reads_what_it_says(mini: MiniDataset, tmp_path: Path, stream: str) -> None:
    if stream == "stdout":
        mini.good(12)
    reader, writer = os.pipe()
    os.close(reader)  # as `| head` does when it has read enough
    command = [sys.executable, "-m", "prep", str(mini.paths.dataset), str(tmp_path / "out"), "--workers", "0"]
    kept = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: writer}
    job = subprocess.run(command, env={**os.environ, "PYTHONPATH": CODE}, **kept, text=True, timeout=60, check=False)
    os.close(writer)
    if stream == "stdout":
        assert (job.returncode, job.stderr) == (0, "")
        assert (tmp_path / "out" / "report" / "report.json").exists()
    else:
        assert (job.returncode, job.stdout) == (1, "")


def test_a_refused_preparation_leaves_the_list_of_what_was_left_out(mini: MiniDataset, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for _ in range(2):  # the second time over what the first one left
        mini.good(12)
        prepared(mini.paths.dataset, out)
        for path in (mini.paths.dataset / "images").iterdir():
            path.unlink()
        with pytest.raises(InvalidInputError, match="no usable annotation"):
            prepared(mini.paths.dataset, out)
        assert list(tree(out)) == ["report/quarantine.jsonl"]


def test_several_sources_are_presented_as_one_folder(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    for path in (first / "images" / "1.jpg", second / "images" / "2.jpg", tmp_path / "x.zip"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name)
    (first / "link.jpg").symlink_to("/etc/passwd")
    os.mkfifo(second / "pipe.jpg")
    folder = presented([first, second, tmp_path / "x.zip"], tmp_path / "one")
    assert tree(folder).keys() - {"link.jpg"} == {"images/1.jpg", "images/2.jpg", "x.zip"}
    assert (folder / "link.jpg").is_symlink()
    assert (folder / "pipe.jpg").is_symlink()  # so that it is left out by name and never opened
    assert presented([first], tmp_path / "other") == first


def test_two_files_of_one_path_are_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.jpg").touch()
    with pytest.raises(InvalidInputError, match=r"two sources hold 1\.jpg"):
        presented([tmp_path / "a", tmp_path / "b"], tmp_path / "one")


def test_a_container_knows_where_its_folders_lie_in_s3(tmp_path: Path) -> None:
    stated = {"DROPSPOT_DATASET_URI": "s3://b/datasets/pets", "DROPSPOT_PREPARED_URI": "s3://b/runs/1/prepared/"}
    folders = Folders.of_container(tmp_path, stated)
    assert (folders.dataset_uri, folders.prepared_uri) == ("s3://b/datasets/pets/", "s3://b/runs/1/prepared/")
    assert Folders.of_container(tmp_path).dataset_uri == ""


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("again", [False, True])
def test_a_stopped_preparation_leaves_everything_as_it_was(
    mini: MiniDataset, tmp_path: Path, stop: signal.Signals, again: bool
) -> None:
    out = tmp_path / "new" / "out"
    if again:
        mini.good(9)
        prepared(mini.paths.dataset, out)
    before = tree(tmp_path / "new")
    large = picture_bytes(1, (900, 900), "PNG")
    for i in range(200):
        mini.put(f"images/{i}.png", large + bytes([i]))
        mini.put(f"labels/{i}.xml", voc_xml([("cat", 5, 5, 40, 30)], f"{i}.png"))
    command = [sys.executable, "-m", "prep", str(mini.paths.dataset), str(out)]
    environment = {**os.environ, "PYTHONPATH": CODE}
    job = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 30
    while not list(out.glob(".preparing/prep-*/pictures/*.jpg")):
        assert time.monotonic() < deadline, "no picture was decoded"
        time.sleep(0.02)
    job.send_signal(stop)
    _, err = job.communicate(timeout=20)
    assert (job.returncode, err) == (128 + stop, "preparation was stopped before it was finished\n")
    assert tree(tmp_path / "new") == before
    assert (tmp_path / "new").exists() is again
    while left := alive_in_session(job.pid):
        assert time.monotonic() < deadline, left
        time.sleep(0.02)


@pytest.mark.parametrize("words", [["only"], ["a", "b", "--workers", "-1"], ["a", "b", "--workers", "many"]])
def test_a_command_line_that_makes_no_sense_is_code_two(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(words)
    assert ended.value.code == 2
    assert "usage: python -m prep" in capsys.readouterr().err
