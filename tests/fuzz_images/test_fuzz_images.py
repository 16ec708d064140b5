"""A slice of the mutated pictures, and proof that what must not happen would be noticed."""

from pathlib import Path
from typing import Any

import pytest
from fuzzing import supervisor

from fuzz_images.cases import make_case

COMMAND = ["fuzz_images.worker", "--seed", "0"]


def test_a_slice_of_the_pictures_ends_as_documents(tmp_path: Path) -> None:
    codes = set[str]()

    def note(answer: dict[str, Any]) -> None:
        codes.add(answer.get("code", "failed"))

    tally = supervisor.run(COMMAND, iter(range(600)), tmp_path, timeout=60, note=note)
    assert [(finding.case, finding.told) for finding in tally.findings] == []
    assert tally.outcomes.keys() == {"detected", "rejected"}
    assert tally.outcomes.total() == 600
    assert codes >= {"detected", "corrupt_image", "unsupported_format"}


@pytest.mark.parametrize(
    ("saboteur", "told"),
    [
        ("crash", "ended the process: exit code -11"),
        ("hang", "takes longer than 8 s"),
        ("dawdle", "it took 5."),
        ("stumble", "the image was given back"),
        ("grow", "of memory"),
        ("overlook", "what was seen is not told"),
    ],
)
def test_what_must_not_happen_is_found(saboteur: str, told: str, tmp_path: Path) -> None:
    detected = [number for number in range(200) if ":" not in make_case(0, number).history.rpartition("}")[2]][:2]
    timeout = 8 if saboteur == "hang" else 60
    tally = supervisor.run([*COMMAND, "--saboteur", saboteur], iter(detected), tmp_path, timeout=timeout)
    assert [(finding.case, told in finding.told) for finding in tally.findings] == [(n, True) for n in detected]


def test_a_number_is_the_same_case_every_time() -> None:
    cases = [make_case(7, number) for number in range(100)]
    assert [make_case(7, number) for number in range(100)] == cases
    assert len({case.body for case in cases}) > 70
