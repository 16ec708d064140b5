"""Train, again and again, stopping at each moment where a training asks whether to; print what came out differently.

Run as a program with OMP_NUM_THREADS=1: then sums are made in one order, and every bit must be the same.
"""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from short_trainings import drawn_samples

from detector.anchors import anchor_boxes
from detector.batches import Batches
from detector.checkpoints import NAME, read_checkpoint, write_checkpoint
from detector.initial_weights import initial_weights
from detector.networks import build_network
from detector.settings import Settings
from detector.training import Training
from detector.training_graph import TrainingGraph

SAMPLES, VALIDATION = drawn_samples(11, seed=0), drawn_samples(9, seed=1)
NEVER = 1_000_000


def trained(folder: Path, hyperparameters: dict[str, str], stop_at: int = NEVER) -> tuple[Training, int]:
    """Train from the folder's checkpoint on, until asked `stop_at` times; how often it asked in all."""
    given = {"num_classes": "2", "num_training_samples": "11", "base_network": "tiny"}
    given |= {"image_shape": "128", "mini_batch_size": "4"}
    settings = Settings.from_strings(given | hyperparameters)
    network = build_network("tiny", 128, 2)
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked >= stop_at

    training = Training(
        network,
        settings,
        TrainingGraph(network, settings, initial_weights(network, 0, {})),
        Batches(SAMPLES, anchor_boxes(network.levels), 128, network.mean, network.deviation, 4, seed=5),
        VALIDATION,
        threads=2,
        stop=stop,
        save=lambda checkpoint: write_checkpoint(folder, "x", checkpoint),
    )
    checkpoint = read_checkpoint(folder, "x")
    if checkpoint is not None:
        training.resume(checkpoint)
    training.run()
    return training, asked


def contents(folder: Path, training: Training) -> dict[str, np.ndarray]:
    """All that a training leaves: its last checkpoint, the model's weights, which epoch's they are."""
    model = {f"model/{name}": value for name, value in training.best.items()}
    kept = np.array([training.best_epoch, training.kept_map])
    return dict(np.load(folder / NAME)) | model | {"kept": kept}


def main(hyperparameters: dict[str, str], every: int) -> None:
    """Print, as JSON, how often the whole training asks, and what differs after an interruption at which of them."""
    with TemporaryDirectory() as name:
        training, asked = trained(Path(name), hyperparameters)
        whole = contents(Path(name), training)
    different = {}
    for moment in range(1, asked + 1, every):
        with TemporaryDirectory() as name:
            trained(Path(name), hyperparameters, stop_at=moment)
            training, _ = trained(Path(name), hyperparameters)
            again = contents(Path(name), training)
        names = {part for part in whole.keys() | again.keys() if not same(whole.get(part), again.get(part))}
        if names:
            different[moment] = sorted(names)
    print(json.dumps({"asked": asked, "epochs": training.progress.epoch, "different": different}))


def same(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    return one is not None and other is not None and one.dtype == other.dtype and one.tobytes() == other.tobytes()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), int(sys.argv[2]))
