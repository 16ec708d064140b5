"""How well the recipe does on few real pictures: `python benchmarks/quality/run.py [--dataset NAME] [--folds N …]`.

Each trial is what a user does: `dropspot prepare`, `dropspot train` without a plan's word on training, `dropspot
evaluate`, which asks the server for every picture held out and scores the answers. Prints Markdown on standard output,
and on standard error what it is at; exit code 1 where a requirement is not met.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from divisions import Division, blood_cells, pets
from trial import DROPSPOT, ROOT, Trial, trial

sys.path.append(str(Path(__file__).parents[1] / "common"))
import machine
from tables import Verdict, table, verdicts

PETS, BLOOD_CELLS = "pets", "blood-cells"
FOLDS = 5
PETS_SECONDS, CELLS_SECONDS = 180.0, 600.0
PETS_MEAN, PETS_LEAST = 0.90, 0.85
CELLS_MAP, PLATELETS = 0.75, 0.50


def main() -> int:
    """Run the trials, print, and return 1 where a requirement is not met."""
    options = _options()
    datasets = Path(os.environ.get("DROPSPOT_DATASETS", ROOT.parent / "shared" / "datasets"))
    python = ROOT / ".envs" / "detector-train" / "bin" / "python"
    if lacking := [path for path in (DROPSPOT, python, datasets) if not path.exists()]:
        sys.exit(f"{lacking[0]} is missing: make setup, and set DROPSPOT_DATASETS to the folder of the data sets")
    with ExitStack() as stack:
        work = options.work or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dropspot-bench-quality-")))
        trials: dict[str, list[Trial]] = {}
        if PETS in options.dataset:
            divisions = list(pets(datasets, work, FOLDS))
            trials[PETS] = [_trial(divisions[fold - 1], work, PETS_SECONDS) for fold in options.folds]
        if BLOOD_CELLS in options.dataset:
            trials[BLOOD_CELLS] = [_trial(blood_cells(datasets), work, CELLS_SECONDS)]
    found = [verdict for name, done in trials.items() for verdict in _WANTED[name](done)]
    print(f"{machine.hardware()}; load {machine.load():.1f} at the end.")
    print(f"{machine.versions(python)}.\n")
    for done in trials.values():
        print(_table(done), end="\n\n")
    print(verdicts(found))
    return 0 if all(verdict.met for verdict in found) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure how well the recipe does on few real pictures.")
    parser.add_argument("--dataset", nargs="*", choices=(PETS, BLOOD_CELLS), default=(PETS, BLOOD_CELLS))
    numbers = range(1, FOLDS + 1)
    parser.add_argument("--folds", nargs="*", type=int, choices=numbers, default=numbers, help="of the pets (all)")
    parser.add_argument("--work", type=Path, help="keep data sets, models and logs in this folder")
    return parser.parse_args()


def _trial(division: Division, work: Path, limit: float) -> Trial:
    print(division.name, end=": ", file=sys.stderr, flush=True)
    done = trial(division, work, limit)
    print(f"mAP {done.map50:.3f}, {done.seconds:.0f} s, {done.epochs} of {done.asked} epochs", file=sys.stderr)
    return done


def _table(trials: list[Trial]) -> str:
    classes = list(trials[0].by_class)
    heads = ("Trial", "Pictures: training / validation / held out", "mAP@0.5", *(f"AP {name}" for name in classes))
    rows = [
        (
            one.name,
            " / ".join(map(str, one.pictures)),
            f"{one.map50:.3f}",
            *(f"{one.by_class[name]:.3f}" for name in classes),
            f"{one.seconds:.0f}",
            f"{one.processor_seconds:.0f}",
            f"{one.epochs} of {one.asked}",
        )
        for one in trials
    ]
    if len(trials) > 1:
        means = [_mean([one.by_class[name] for one in trials]) for name in classes]
        seconds = max(one.seconds for one in trials)
        figures = [f"{value:.3f}" for value in (_mean([one.map50 for one in trials]), *means)]
        rows.append(("mean, and the longest training", "", *figures, f"{seconds:.0f}", "", ""))
    return table((*heads, "Training, s", "Processor, s", "Epochs"), rows)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _pets_wanted(trials: list[Trial]) -> list[Verdict]:
    maps = [one.map50 for one in trials]
    return [
        Verdict(
            f"pets: mean mAP@0.5 of {len(maps)} folds >= {PETS_MEAN:.2f}",
            f"{_mean(maps):.3f}",
            _mean(maps) >= PETS_MEAN,
        ),
        Verdict(f"pets: no fold under {PETS_LEAST:.2f}", f"{min(maps):.3f}", min(maps) >= PETS_LEAST),
        _in_time("pets", trials, PETS_SECONDS),
    ]


def _cells_wanted(trials: list[Trial]) -> list[Verdict]:
    (only,) = trials
    platelets = only.by_class["Platelets"]
    return [
        Verdict(f"blood cells: mAP@0.5 >= {CELLS_MAP:.2f}", f"{only.map50:.3f}", only.map50 >= CELLS_MAP),
        Verdict(f"blood cells: AP of platelets >= {PLATELETS:.2f}", f"{platelets:.3f}", platelets >= PLATELETS),
        _in_time("blood cells", trials, CELLS_SECONDS),
    ]


def _in_time(name: str, trials: list[Trial], limit: float) -> Verdict:
    longest = max(one.seconds for one in trials)
    return Verdict(f"{name}: trained within {limit:.0f} s", f"{longest:.0f} s", longest <= limit)


_WANTED = {PETS: _pets_wanted, BLOOD_CELLS: _cells_wanted}


if __name__ == "__main__":
    sys.exit(main())
