"""A slice of the posted pictures, and proof that what must not happen would be noticed."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from fuzz_serving.asking import Answered, problem
from fuzz_serving.cases import Case, make_case

ROOT = Path(__file__).parents[2]
SERVE_PYTHON = ROOT / ".envs" / "detector-serve" / "bin" / "python"
PARTS = ("tests", "detector_container", "layers/shared", "layers/imaging")
TRAIN_PYTHON = ROOT / ".envs" / "detector-train" / "bin" / "python"
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in PARTS)}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for python in (TRAIN_PYTHON, SERVE_PYTHON):
        if not python.exists():
            pytest.skip(f"{python} is missing: python3 cli/bootstrap.py detector-train detector-serve")
    folder = tmp_path_factory.mktemp("random") / "model"
    command = [TRAIN_PYTHON, ROOT / "benchmarks" / "serve" / "random_model.py", folder, "tiny", "128", "2"]
    subprocess.run(command, env=ENVIRONMENT, check=True, timeout=100)
    return folder


def fuzzed(model: Path, *options: str) -> tuple[int, str]:
    """Exit code and output of the runner; what it keeps is removed."""
    command = [SERVE_PYTHON, "-m", "fuzz_serving", "--model", model, *options]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=100, check=False)
    for line in done.stdout.splitlines():
        if line.strip().startswith("kept in "):
            shutil.rmtree(Path(line.split()[-1]).parent, ignore_errors=True)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.serving
def test_a_slice_of_the_cases_has_no_finding(model: Path) -> None:
    code, told = fuzzed(model, "--cases", "600")
    assert code == 0, told
    for status in ("200", "400", "413", "415"):
        assert f" {status}" in told.rpartition("s: ")[2]


@pytest.mark.serving
@pytest.mark.parametrize(
    ("saboteur", "told"),
    [
        ("crash", "it ended the process: exit code -11"),
        ("hang", "it takes longer than 2 s"),
        ("stumble", "status 500, not one of"),
        ("exaggerate", "1000 rows"),
        ("leave_the_picture", "odd rows"),
    ],
)
def test_what_no_model_may_do_is_found(saboteur: str, told: str, model: Path) -> None:
    options = ("--saboteur", saboteur, "--timeout", "2" if saboteur == "hang" else "60")
    code, output = fuzzed(model, "--cases", "4", "--first", "40", *options)
    assert code == 1
    assert told in output
    assert "4 cases of seed 0" in output  # those after a crash in another process


def test_a_number_is_the_same_case_every_time() -> None:
    cases = [make_case(7, number) for number in range(100)]
    assert [make_case(7, number) for number in range(100)] == cases
    assert len({(case.body, case.headers) for case in cases}) > 90


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (200, b'{"prediction": [[0, 0.5, 0, 0, 1, 1]]}', ""),
        (200, b'{"prediction": [[0, 0.5, 0, 0, 1]]}', "odd rows"),
        (400, b'{"error": "no picture"}', ""),
        (400, b'{"error": ""}', "no sentence"),
        (400, b'{"error": "two\\nlines"}', "no sentence"),
        (400, b'{"error": "of <_io.BytesIO object at 0x7f>"}', "no sentence"),
        (415, b'{"error": "no picture"}', "status 415"),
        (503, b'{"error": "no picture"}', "status 503"),
    ],
)
def test_an_answer_that_was_not_promised_is_found(status: int, body: bytes, told: str) -> None:
    case = Case(0, (), (b"x",), frozenset({200, 400, 413}), "")
    found = problem(case, Answered(status, b"application/json", body), 400)
    assert (told in found) if told else found == ""
