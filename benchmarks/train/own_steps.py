"""The detector's own SSD in training on one batch, again and again; runs in the training environment.

`python own_steps.py NETWORK SIDE BATCH`: each line `STEPS` on standard input is answered by the seconds they took.
"""

import sys
import time

from detector.threads import set_openmp_threads

set_openmp_threads()  # before mxnet is imported

import mxnet as mx  # noqa: E402
import numpy as np  # noqa: E402

from detector.anchors import anchor_boxes  # noqa: E402
from detector.batches import Batch  # noqa: E402
from detector.initial_weights import initial_weights  # noqa: E402
from detector.networks import build_network  # noqa: E402
from detector.settings import Settings  # noqa: E402
from detector.targets import picture_targets  # noqa: E402
from detector.training_graph import TrainingGraph  # noqa: E402


def main() -> None:
    """Build, make a batch of noise with two boxes in each picture, step as often as asked."""
    name, side, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    given = {"base_network": name, "image_shape": str(side), "num_classes": "2", "optimizer": "sgd"}
    settings = Settings.from_strings(given | {"num_training_samples": str(size), "mini_batch_size": str(size)})
    network = build_network(name, side, 2)
    graph = TrainingGraph(network, settings, initial_weights(network, 0, {}))
    rng = np.random.default_rng(0)
    labels = np.array([[0, 40, 40, 200, 200], [1, 120, 100, 280, 290]], np.float32)
    labels[:, 1:] /= side
    classes, offsets = picture_targets(anchor_boxes(network.levels), labels)
    batch = Batch(
        rng.normal(size=(size, 3, side, side)).astype(np.float32),
        np.stack([classes] * size),
        np.stack([offsets.astype(np.float32)] * size),
    )

    def step() -> None:
        if not graph.step(batch, 1e-4).finite:
            raise ArithmeticError("the loss is not a finite number: such steps skip their backward pass")
        mx.nd.waitall()

    for _ in range(2):
        step()
    print(f"{len(classes)}", flush=True)
    for line in sys.stdin:
        begun = time.monotonic()
        for _ in range(int(line)):
            step()
        print(time.monotonic() - begun, flush=True)


if __name__ == "__main__":
    main()
