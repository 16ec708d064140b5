"""Training on several hosts: processes on loopback that meet, keep in step, and end together."""

import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from short_trainings import TrainingRoot, drawn_picture, packed

from detector import artifacts
from detector.checkpoints import NAME
from detector.hosts.cluster import ADDRESSES

pytestmark = pytest.mark.timeout(400)  # several processes that each import MXNet, on however few cores
_NETWORKS = itertools.count(1)
GIVEN = {"epochs": "12", "mini_batch_size": "8", "seed": "3"}


@dataclass
class Hosts:
    """The /opt/ml trees of a job's hosts."""

    roots: list[TrainingRoot]
    addresses: str

    @classmethod
    def of(cls, folder: Path, count: int = 2, **hyperparameters: str) -> "Hosts":
        """Hosts that all have the same data."""
        network = next(_NETWORKS)
        names = [f"algo-{number}" for number in range(1, count + 1)]
        addresses = ",".join(f"{name}=127.2.{network}.{number}" for number, name in enumerate(names, 1))
        roots = [TrainingRoot(folder / name) for name in names]
        for name, root in zip(names, roots, strict=True):
            root.write(GIVEN | hyperparameters)
            config = root.folder / "input" / "config" / "resourceconfig.json"
            config.write_text(json.dumps({"current_host": name, "hosts": names}))
        return cls(roots, addresses)

    def start(self) -> "list[subprocess.Popen[str]]":
        return [root.start(OMP_NUM_THREADS="1", **{ADDRESSES: self.addresses}) for root in self.roots]

    def train(self) -> list[tuple[int, str]]:
        """Return exit code and log of each host."""
        return ended(self.start())


def ended(processes: "Sequence[subprocess.Popen[str]]") -> list[tuple[int, str]]:
    try:
        logs = [process.communicate(timeout=350)[0] for process in processes]
        return [(process.returncode, log) for process, log in zip(processes, logs, strict=True)]
    finally:
        for process in processes:
            process.kill()


def children(process: "subprocess.Popen[str]") -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def scores(log: str) -> list[float]:
    return [float(value) for value in re.findall(r"validation mAP <score>=\((\S+)\)", log)]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Hosts, list[tuple[int, str]]]:
    hosts = Hosts.of(tmp_path_factory.mktemp("two"))
    return hosts, hosts.train()


def test_two_hosts_train_to_the_mean_average_precision_of_one(two, tmp_path: Path) -> None:
    """A step of two hosts has both their batches: as one of twice the size on one host."""
    _, done = two
    assert [code for code, _ in done] == [0, 0], done
    alone = TrainingRoot(tmp_path / "ml")
    alone.write(GIVEN | {"mini_batch_size": "16"})
    code, log = alone.train()
    assert code == 0, log
    kept = [
        float(re.findall(r"the model has the weights of epoch \d+, validation mAP (\S+)", text)[0])
        for text in (log, done[0][1])
    ]
    assert kept[0] > 0.8
    assert abs(kept[0] - kept[1]) <= 0.02, kept


def test_the_first_host_alone_writes_model_checkpoint_and_metrics(two) -> None:
    hosts, done = two
    first, second = (root.folder for root in hosts.roots)
    assert (first / "model" / artifacts.ONNX).is_file()
    assert (first / "checkpoints" / NAME).is_file()
    assert not list((second / "model").glob("*"))
    assert not (second / "checkpoints").exists()
    assert len(scores(done[0][1])) == 12
    assert "#" not in done[1][1]


def test_every_host_has_the_same_scores(two) -> None:
    """Each looks at a part of the validation pictures, and decides with all of them."""
    _, done = two
    lines = [re.findall(r"epoch \d+: validation AP by class .*", log) for _, log in done]
    assert len(lines[0]) == 12
    assert lines[0] == lines[1]


def test_a_sharded_channel_is_trained_on_by_the_host_that_has_it(tmp_path: Path) -> None:
    """Shards of unequal size: each epoch is as long as the larger one's."""
    hosts = Hosts.of(tmp_path, epochs="1", num_training_samples="30")
    rng = np.random.default_rng(0)
    for root, count in zip(hosts.roots, (20, 10), strict=True):
        records = [packed(index, *drawn_picture(rng)) for index in range(count)]
        (root.folder / "input" / "data" / "train" / "train.rec").write_bytes(b"".join(records))
        channels = {"train": {"S3DistributionType": "ShardedByS3Key"}, "validation": {}}
        (root.folder / "input" / "config" / "inputdataconfig.json").write_text(json.dumps(channels))
    done = hosts.train()
    assert [code for code, _ in done] == [0, 0], done
    assert "num_training_samples is" not in done[0][1]  # the hosts have 30 together
    assert "epoch=0, batch=3 train cross_entropy" in done[0][1]  # 20 pictures in batches of 8
    card = json.loads((hosts.roots[0].folder / "model" / artifacts.CARD).read_text())
    assert card["training"]["channels"]["train"]["pictures"] == 30


def test_an_interrupted_training_goes_on_on_all_hosts_where_the_first_had_come(tmp_path: Path) -> None:
    """The signal reaches one host alone; both stop at the same step, and both leave with success."""
    hosts = Hosts.of(tmp_path, epochs="6")
    processes = hosts.start()
    assert processes[0].stdout is not None
    next(line for line in processes[0].stdout if "completed 16.67 %" in line)
    processes[1].send_signal(signal.SIGTERM)
    done = ended(processes)
    assert [code for code, _ in done] == [0, 0], done
    assert "told to stop" in done[0][1]
    assert (hosts.roots[0].folder / "model" / artifacts.ONNX).is_file()
    again = hosts.train()
    assert [code for code, _ in again] == [0, 0], again
    assert "resumed from the checkpoint in epoch" in again[0][1]
    epochs = [re.findall(r"epoch (\d+): validation AP", log) for _, log in again]
    assert epochs[0] == epochs[1]
    assert epochs[0][-1] == "5"
    assert epochs[0][0] != "0"


@pytest.mark.parametrize("killed", [0, 1])
def test_a_host_that_dies_ends_the_others_with_a_sentence(killed: int, tmp_path: Path) -> None:
    hosts = Hosts.of(tmp_path, epochs="500")
    processes = hosts.start()
    assert processes[0].stdout is not None
    next(line for line in processes[0].stdout if "#progress_metric" in line)
    processes[killed].kill()
    processes[1 - killed].communicate(timeout=60)
    assert processes[1 - killed].returncode == 1
    assert hosts.roots[1 - killed].failure == f"host algo-{killed + 1} ended without a word"


def test_a_host_that_fails_tells_the_others_why(tmp_path: Path) -> None:
    hosts = Hosts.of(tmp_path, count=3)
    (hosts.roots[2].folder / "input" / "data" / "train" / "train.rec").write_bytes(b"")
    done = hosts.train()
    assert [code for code, _ in done] == [1, 1, 1]
    sentence = hosts.roots[2].failure
    assert sentence.startswith("channel train")
    assert [root.failure for root in hosts.roots[:2]] == [f"host algo-3 failed: {sentence}"] * 2


def test_a_dead_parameter_server_ends_all_hosts(tmp_path: Path) -> None:
    hosts = Hosts.of(tmp_path, epochs="500")
    processes = hosts.start()
    assert processes[0].stdout is not None
    next(line for line in processes[0].stdout if "#progress_metric" in line)
    os.kill(children(processes[1])[0], signal.SIGKILL)
    done = ended(processes)
    assert [code for code, _ in done] == [1, 1]
    said = "the parameter server's server process ended with exit code -9"
    assert hosts.roots[1].failure == said
    assert hosts.roots[0].failure == f"host algo-2 failed: {said}"


def test_different_starting_points_are_refused(tmp_path: Path) -> None:
    """One host with a `model` channel that the other lacks would train a network of two minds."""
    first = TrainingRoot(tmp_path / "first")
    first.write({"epochs": "1"})
    assert first.train()[0] == 0
    hosts = Hosts.of(tmp_path / "hosts")
    shutil.copytree(first.folder / "model", hosts.roots[0].folder / "input" / "data" / "model")
    done = hosts.train()
    assert [code for code, _ in done] == [1, 1], done
    assert any("FullyReplicated" in root.failure for root in hosts.roots)


def test_a_process_killed_with_its_servers_leaves_none_behind(tmp_path: Path) -> None:
    hosts = Hosts.of(tmp_path, epochs="500")
    processes = hosts.start()
    assert processes[0].stdout is not None
    next(line for line in processes[0].stdout if "#progress_metric" in line)
    pids = [
        int(pid) for one in processes for pid in Path(f"/proc/{one.pid}/task/{one.pid}/children").read_text().split()
    ]
    assert len(pids) == 3  # a scheduler and two servers
    for process in processes:
        process.kill()
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_hosts_with_different_pictures_are_refused_where_they_should_have_the_same(tmp_path: Path) -> None:
    hosts = Hosts.of(tmp_path)
    rng = np.random.default_rng(0)
    records = [packed(index, *drawn_picture(rng)) for index in range(20)]
    (hosts.roots[1].folder / "input" / "data" / "train" / "train.rec").write_bytes(b"".join(records))
    done = hosts.train()
    assert [code for code, _ in done] == [1, 1], done
    assert any("the hosts have 48, 20 training pictures" in root.failure for root in hosts.roots)


def test_a_signal_to_a_hosts_whole_process_group_ends_the_training_well(tmp_path: Path) -> None:
    """As a terminal sends it, and the embedded SageMaker: the servers must outlive it."""
    hosts = Hosts.of(tmp_path, epochs="500")
    processes = hosts.start()
    assert processes[0].stdout is not None
    next(line for line in processes[0].stdout if "#progress_metric" in line)
    for process in processes:
        for pid in children(process):
            os.kill(pid, signal.SIGTERM)
        process.send_signal(signal.SIGTERM)
    done = ended(processes)
    assert [code for code, _ in done] == [0, 0], done
    assert (hosts.roots[0].folder / "model" / artifacts.ONNX).is_file()
