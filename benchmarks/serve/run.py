"""What serving costs beyond the detection itself: `python benchmarks/serve/run.py [--quick] [--model FOLDER]`.

Prints Markdown on standard output, and on standard error what it is at; exit code 1 where a requirement is not met.
The server, its clients and the same work without a server run on the same cores and take turns.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from PIL import Image
from processes import SERVE_PYTHON, TRAIN_PYTHON, Conversation, Server, in_process, posted, random_model

sys.path.append(str(Path(__file__).parents[1] / "common"))
import machine
from tables import Spread, Verdict, table, verdicts

MORE_MS = 2.0  # HTTP's median beyond decode, inference and suppression
LEAST_SHARE = 0.9  # of the in-process rate, with two clients
MOST_MIB = 250
MOST_SECONDS = 1.5  # from the start to the first answer
CLIENTS = 2
TURNS = 10  # of each way in a round
SECONDS, SHORT_SECONDS = 0.5, 0.05  # of each turn
SIZE = (500, 375)
_VERSIONS = """
import importlib.metadata as m, platform
names = ("numpy", "pillow", "onnxruntime", "httptools")
print(", ".join([f"Python {platform.python_version()}", *(f"{n} {m.version(n)}" for n in names)]))
"""


@dataclass(slots=True)
class Round:
    """What the turns of one round came to."""

    alone: list[float] = field(default_factory=list)  # seconds of each picture
    over_http: list[float] = field(default_factory=list)
    rate_one: list[float] = field(default_factory=list)  # pictures a second, in each turn
    rate_all: list[float] = field(default_factory=list)
    rate_http: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Measured:
    """One value of each round; times in milliseconds, rates in pictures a second."""

    rows: int = 0
    pictures: int = 0  # of one thread in a turn
    alone: list[float] = field(default_factory=list)
    over_http: list[float] = field(default_factory=list)
    rate_one: list[float] = field(default_factory=list)
    rate_all: list[float] = field(default_factory=list)
    rate_http: list[float] = field(default_factory=list)
    start: list[float] = field(default_factory=list)
    resident: list[float] = field(default_factory=list)
    peak: list[float] = field(default_factory=list)

    def add(self, one: Round) -> None:
        self.alone.append(1000 * statistics.median(one.alone))
        self.over_http.append(1000 * statistics.median(one.over_http))
        self.rate_one.append(statistics.mean(one.rate_one))
        self.rate_all.append(statistics.mean(one.rate_all))
        self.rate_http.append(statistics.mean(one.rate_http))

    def more(self) -> Spread:
        return Spread.of([http - alone for http, alone in zip(self.over_http, self.alone, strict=True)])

    def share(self, alone: list[float]) -> Spread:
        """The clients' rate over one in-process, round by round."""
        return Spread.of([http / without for http, without in zip(self.rate_http, alone, strict=True)])


def main() -> int:
    """Measure, print, and return 1 where a requirement is not met."""
    options = _options()
    if lacking := [python for python in (SERVE_PYTHON, TRAIN_PYTHON) if not python.exists()]:
        sys.exit(f"{lacking[0]} is missing: python3 cli/bootstrap.py detector-serve detector-train")
    say = partial(print, file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="dropspot-bench-serve-") as folder:
        work = Path(folder)
        picture = work / "picture.jpg"
        picture.write_bytes(_picture())
        measured = {}
        for name, root in _models(options, work).items():
            say(f"{name}: {options.rounds} rounds")
            measured[name] = _measure(root, picture, options)
        size = picture.stat().st_size
    found = [verdict for name, one in measured.items() for verdict in _wanted(name, one)]
    versions = subprocess.run(
        [SERVE_PYTHON, "-c", _VERSIONS], capture_output=True, text=True, check=True
    ).stdout.strip()
    print(f"{machine.hardware()}; load {machine.load():.1f} at the end; {versions}.")
    print(
        f"JPEG of {SIZE[0]}x{SIZE[1]} pixels, {size:,} bytes; {options.rounds} rounds of {TURNS} turns: "
        "the server and the same work in one process. Min / median / max of the rounds.\n"
    )
    print(_table(measured), end="\n\n")
    print(verdicts(found))
    return 0 if all(verdict.met for verdict in found) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure what serving costs beyond the detection itself.")
    parser.add_argument("--quick", action="store_true", help="two short rounds")
    parser.add_argument("--rounds", type=int, help="how often the server is started anew (9)")
    parser.add_argument("--model", type=Path, help="a model folder, instead of random weights of two networks")
    options = parser.parse_args()
    options.rounds = options.rounds or (2 if options.quick else 9)
    return options


def _models(options: argparse.Namespace, work: Path) -> dict[str, Path]:
    """Return the trees below which a `model` folder lies, by what they hold."""
    if options.model:
        root = work / "given"
        root.mkdir()
        (root / "model").symlink_to(options.model.resolve())
        return {options.model.name: root}
    roots = {}
    for network, side in (("efficientnet-lite0", 300), ("tiny", 128)):
        random_model(work / network / "model", network, side)
        roots[f"{network}, {side} px"] = work / network
    return roots


def _picture() -> bytes:
    """A JPEG of smooth random colours, always the same."""
    rng, small, buffer = random.Random(0), Image.new("RGB", (50, 38)), io.BytesIO()  # noqa: S311 - no secret
    small.putdata([(rng.randrange(256), rng.randrange(256), rng.randrange(256)) for _ in range(50 * 38)])
    small.resize(SIZE, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _measure(root: Path, picture: Path, options: argparse.Namespace) -> Measured:
    measured = Measured()
    seconds = SHORT_SECONDS if options.quick else SECONDS
    with in_process(root / "model", picture) as alone:
        measured.rows = json.loads(alone.greeting)["rows"]
        alone.ask("1 20")
        measured.pictures = round(seconds * 20 / json.loads(alone.answer())["seconds"])
        for _ in range(options.rounds):
            with Server(root, picture) as server, ExitStack() as stack:
                clients = [stack.enter_context(server.client()) for _ in range(CLIENTS)]
                measured.add(_round(alone, clients, measured.pictures, seconds))
                resident, peak = server.resident_mib()
            measured.start.append(server.seconds_to_first_answer)
            measured.resident.append(resident)
            measured.peak.append(peak)
    return measured


def _round(alone: Conversation, clients: list[Conversation], pictures: int, seconds: float) -> Round:
    """Have the ways take turns, short ones: how fast the machine is may change within seconds."""
    cores, one = len(os.sched_getaffinity(0)), Round()
    for _ in range(TURNS):
        alone.ask(f"1 {pictures}")
        answer = json.loads(alone.answer())
        one.alone += answer["each"]
        one.rate_one.append(pictures / answer["seconds"])
        one.over_http += posted(clients[:1], seconds)[0]
        alone.ask(f"{cores} {cores * pictures}")
        one.rate_all.append(cores * pictures / json.loads(alone.answer())["seconds"])
        one.rate_http.append(sum(len(each) / sum(each) for each in posted(clients, seconds)))
    return one


def _table(measured: dict[str, Measured]) -> str:
    cores = len(os.sched_getaffinity(0))
    rows: list[tuple[str, str, str]] = []
    for name, one in measured.items():
        rows += [
            (
                f"{name}: in-process, one thread, p50 ({one.pictures} pictures a turn, {one.rows} rows each)",
                "ms",
                Spread.of(one.alone).text(2),
            ),
            (f"{name}: HTTP, one client, p50", "ms", Spread.of(one.over_http).text(2)),
            (f"{name}: HTTP beyond in-process, round by round", "ms", one.more().text(2)),
            (f"{name}: in-process, one thread", "pictures/s", Spread.of(one.rate_one).text(1)),
            (f"{name}: in-process, {cores} threads", "pictures/s", Spread.of(one.rate_all).text(1)),
            (f"{name}: HTTP, {CLIENTS} clients", "pictures/s", Spread.of(one.rate_http).text(1)),
            (f"{name}: HTTP, {CLIENTS} clients, over one thread", "times", one.share(one.rate_one).text(2)),
            (f"{name}: HTTP, {CLIENTS} clients, over {cores} threads", "times", one.share(one.rate_all).text(2)),
            (f"{name}: start to first answer", "s", Spread.of(one.start).text(2)),
            (f"{name}: resident memory after the round, supervisor and worker", "MiB", Spread.of(one.resident).text()),
            (f"{name}: the most they have held", "MiB", Spread.of(one.peak).text()),
        ]
    return table(("Model: what", "Unit", "Min / median / max"), rows)


def _wanted(name: str, one: Measured) -> list[Verdict]:
    cores = len(os.sched_getaffinity(0))
    more, share, peak, start = one.more(), one.share(one.rate_all), Spread.of(one.peak), Spread.of(one.start)
    return [
        Verdict(
            f"{name}: HTTP p50 at most {MORE_MS:g} ms above in-process", f"{more.text(2)} ms", more.middle <= MORE_MS
        ),
        Verdict(
            f"{name}: {CLIENTS} clients >= {LEAST_SHARE} of in-process on {cores} threads",
            share.text(2),
            share.middle >= LEAST_SHARE,
        ),
        Verdict(f"{name}: resident memory < {MOST_MIB} MiB", f"{peak.text()} MiB", peak.most < MOST_MIB),
        Verdict(f"{name}: start to first answer < {MOST_SECONDS} s", f"{start.text(2)} s", start.middle < MOST_SECONDS),
    ]


if __name__ == "__main__":
    sys.exit(main())
