"""Preparation against MXNet's im2rec on this machine: `python benchmarks/prep/run.py [--quick]`, or `make bench-prep`.

Prints Markdown on standard output, and on standard error what it is at. docs/benchmarks.md says what is measured.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "common"))
import aside
import datasets
import machine
import measuring
import programs
import quality
import report
from datasets import Benchmarked
from measuring import Measured, Way
from pictures import HUGE, LARGE, SMALL
from tables import Verdict, table, verdicts

SIDE = 512
NO_LIMIT = 4096  # the largest shorter side that a plan takes: nothing here is larger
COMPARED = 400  # pictures whose PSNR is taken
FEW, FEW_TURNS = 200, 5  # so few pictures take tenths of a second, and more than one turn in a round
WORKER_MIB = 300
_AGAINST = (
    "im2rec of 2022",
    "im2rec",
    "im2rec of 2022 without resizing",
    "im2rec without resizing",
    "decoding alone",
    "decoding luma alone",
    "im2rec --pass-through",
)
MORE_MIB = 16  # that a worker may need on all the pictures, the largest ones among them, than on a quarter of them


def main() -> int:
    """Measure, print, and return 1 where a requirement is not met."""
    options = _options()
    if lacking := [python for python in (programs.ORACLE, programs.ORACLE_2022, programs.PREP) if not python.exists()]:
        sys.exit(f"{lacking[0]} is missing: python3 cli/bootstrap.py prep oracle oracle-2022")
    say = partial(print, file=sys.stderr, flush=True)
    programs.adopt_orphans()
    say(f"making {options.count} pictures of each kind in {options.work} where they are not yet there")
    large = datasets.generated(options.work, LARGE, options.count)
    small = datasets.generated(options.work, SMALL, options.count)
    few = datasets.generated(options.work, LARGE, options.count // 4)
    sets = [large, small]
    sample = options.datasets / "oxford-pets-sample"
    if sample.is_dir():
        sets.append(datasets.pets(options.work, sample))
    else:
        say(f"the pets sample is not at {sample} (set DROPSPOT_DATASETS): it is left out")
    for data in sets:
        data.read()
    processes = [1, 2] if len(os.sched_getaffinity(0)) > 1 else [1]
    turns = [measuring.Turns(_ways(data, processes), FEW_TURNS if data.count < FEW else 1) for data in sets]
    measured = measuring.take_turns(turns, options.rounds, say)
    wanted = _rates_wanted(measured, processes, *sets)
    psnr, psnr_wanted = _psnr(large, processes[-1])
    wanted.append(psnr_wanted)
    say("peak memory")
    huge = datasets.generated(options.work, HUGE, 6)
    memory, memory_wanted = _memory([few, large, huge], processes[-1])
    aside.clear(options.work)
    wanted += memory_wanted
    print(
        f"{machine.hardware()}; load {machine.load():.1f} at the end; {options.rounds} rounds, "
        f"with {FEW_TURNS} turns each for sets of less than {FEW} pictures.\n"
    )
    print(f"- prep: {machine.versions(programs.PREP)}")
    print(f"- im2rec: {machine.versions(programs.ORACLE)}")
    print(f"- im2rec of 2022: {machine.versions(programs.ORACLE_2022)}\n")
    for part in (report.sets(sets), report.rates(measured), _ratios(measured, sets, processes), psnr, memory):
        print(part, end="\n\n")
    print(verdicts(wanted))
    return 0 if all(verdict.met for verdict in wanted) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure preparation against MXNet's im2rec.")
    parser.add_argument("--quick", action="store_true", help="a tenth of the pictures and two rounds")
    parser.add_argument("--count", type=int, help="generated pictures of each kind (2,000)")
    parser.add_argument("--rounds", type=int, help="how often each program takes its turn (3)")
    parser.add_argument(
        "--work",
        type=Path,
        default=Path(tempfile.gettempdir()) / "dropspot-bench-prep",
        help="where generated pictures are kept and outputs written",
    )
    options = parser.parse_args()
    options.count = options.count or (200 if options.quick else 2000)
    options.rounds = options.rounds or (2 if options.quick else 3)
    options.work.mkdir(parents=True, exist_ok=True)
    options.datasets = Path(os.environ.get("DROPSPOT_DATASETS", programs.ROOT.parent / "shared" / "datasets"))
    return options


def _key(data: Benchmarked, way: str, processes: int) -> str:
    return f"{data.name}, {way}, {processes}"


def _ways(data: Benchmarked, processes: list[int]) -> Mapping[str, Way]:
    """What takes turns: every way of a set, im2rec before prep each time."""
    ways: dict[str, Way] = {}
    for number in processes:
        of = {
            "im2rec": partial(programs.im2rec, data, number, "--resize", str(SIDE)),
            "im2rec of 2022": partial(
                programs.im2rec, data, number, "--resize", str(SIDE), python=programs.ORACLE_2022
            ),
            "prep": partial(programs.prep, data, number, shorter_side=SIDE),
            "im2rec without resizing": partial(programs.im2rec, data, number),
            "im2rec of 2022 without resizing": partial(programs.im2rec, data, number, python=programs.ORACLE_2022),
            "prep without limit": partial(programs.prep, data, number, shorter_side=NO_LIMIT),
            "decoding alone": partial(programs.decode_loop, data, number),
            "decoding luma alone": partial(programs.decode_loop, data, number, "GRAY"),
            "im2rec --pass-through": partial(programs.im2rec, data, number, "--pass-through"),
        }
        ways |= {_key(data, way, number): run for way, run in of.items()}
    return ways


def _rates_wanted(
    measured: Measured, processes: list[int], large: Benchmarked, small: Benchmarked, *photographs: Benchmarked
) -> list[Verdict]:
    wanted = []
    for number in processes:
        in_words = f"{number} process{'es' if number > 1 else ''}"
        limit, wide, none = "prep", "prep without limit", "decoding alone"
        for least, what, data, way, other in (
            (2.2, "resizing: times the rate of im2rec of 2022", large, limit, "im2rec of 2022"),
            (2.2, "resizing: times the rate of im2rec", large, limit, "im2rec"),
            (4.0, "passing through: times the rate of im2rec of 2022", large, wide, "im2rec of 2022 without resizing"),
            (4.0, "passing through: times the rate of im2rec", large, wide, "im2rec without resizing"),
            (0.9, "passing through: of bare decoding's rate", large, wide, none),
            (0.9, "passing through small pictures: of bare decoding's rate", small, limit, none),
            *((0.9, f"passing through the {d.name}: of bare decoding's rate", d, wide, none) for d in photographs),
        ):
            ratio = measured.ratio(_key(data, way, number), _key(data, other, number))
            wanted.append(Verdict(f"{what} >= {least}, {in_words}", ratio.text(2), ratio.middle >= least))
    if len(processes) > 1:
        for what, data, way in (("resizing", large, "prep"), ("passing through", large, "prep without limit")):
            gain = measured.ratio(_key(data, way, 2), _key(data, way, 1))
            wanted.append(Verdict(f"{what}: two processes >= 1.8 times one", gain.text(2), gain.middle >= 1.8))
    return wanted


def _ratios(measured: Measured, sets: list[Benchmarked], processes: list[int]) -> str:
    """Prep's rate over that of each other way, with the spread over the turns."""
    rows = []
    for data in sets:
        for number in processes:
            for way in ("prep", "prep without limit"):
                mine = _key(data, way, number)
                ratios = [measured.ratio(mine, _key(data, other, number)).text(2) for other in _AGAINST]
                rows.append((mine, *ratios))
    return table(("Rate of prep over that of", *_AGAINST), rows)


def _psnr(large: Benchmarked, processes: int) -> tuple[str, Verdict]:
    """The quality of im2rec's resized pictures and of prep's, made once more since other runs have come after."""
    packed = {}
    for setting in ((), ("--quality", "90")):
        programs.im2rec(large, 1, "--resize", str(SIDE), *setting)
        packed["im2rec " + (" ".join(setting) or "(--quality 95, its default)")] = quality.of_im2rec(large)
    programs.prep(large, processes, shorter_side=SIDE)
    packed["prep"] = quality.of_prep(large)
    number, found = quality.compare(large, list(packed.values()), COMPARED)
    rows = [(name, f"{one.psnr:.2f}", f"{one.bytes:,.0f}") for name, one in zip(packed, found, strict=True)]
    theirs, ours = found[0], found[-1]
    met = ours.psnr >= theirs.psnr and ours.bytes <= theirs.bytes
    said = f"{ours.psnr:.2f} to {theirs.psnr:.2f} dB, {ours.bytes:,.0f} to {theirs.bytes:,.0f} bytes"
    heads = (f"Resized, {number} pictures", "Mean PSNR against the reference, dB", "Mean bytes")
    return table(heads, rows), Verdict("resizing: no lower PSNR, no more bytes than im2rec", said, met)


def _memory(sets: list[Benchmarked], processes: int) -> tuple[str, list[Verdict]]:
    """The peak memory of the fullest worker and of the process that leads them, on a few pictures and on all."""
    rows, workers = [], []
    for data in sets:
        leader, *others = programs.prep(data, processes, watched=True, shorter_side=SIDE).peaks.values()
        workers.append(max(others) / 1024)
        rows.append((data.name, f"{data.count:,}", f"{workers[-1]:.0f}", f"{leader / 1024:.0f}"))
    heads = ("Peak memory", "Pictures", "Fullest worker, MiB", "Leading process, MiB")
    said = " and ".join(f"{peak:.0f}" for peak in workers[:2])
    counts = " and ".join(f"{data.count:,}" for data in sets[:2])
    return table(heads, rows), [
        Verdict(f"a worker's peak memory < {WORKER_MIB} MiB", f"{workers[1]:.0f} MiB", workers[1] < WORKER_MIB),
        Verdict(
            f"a worker's peak memory < {WORKER_MIB} MiB on the largest pictures that are taken",
            f"{workers[2]:.0f} MiB",
            workers[2] < WORKER_MIB,
        ),
        Verdict(
            "a worker's peak memory does not depend on the number of pictures",
            f"{said} MiB for {counts} pictures",
            workers[1] <= workers[0] + MORE_MIB,
        ),
    ]


if __name__ == "__main__":
    sys.exit(main())
