"""What it takes to try a failed case again."""

from __future__ import annotations

from pathlib import Path

from fuzzing.supervisor import Finding

from fuzz.cases import make_case


def keep(seed: int, finding: Finding, folder: Path) -> Path:
    """Write a case's files, its plan and what happened; returns where."""
    case, place = make_case(seed, finding.case), folder / f"case-{finding.case:06d}"
    case.write(place / "dataset")
    (place / "plan.json").write_bytes(case.plan)
    history = "\n".join(case.history)
    (place / "why.txt").write_text(
        f"seed {seed}, case {finding.case}, from {case.origin}\n{history}\n\n{finding.told}\n"
    )
    return place
