"""Write a model folder with random weights through the detector's own export; runs in the training environment.

`python random_model.py FOLDER NETWORK SIDE CLASSES`: speed does not depend on what the weights are, only on how many
boxes are found, and that is a lot here: nearly every anchor says something.
"""

import sys
from pathlib import Path

from detector.threads import set_openmp_threads

set_openmp_threads()  # before mxnet is imported

import mxnet as mx  # noqa: E402

from detector.export import export_model  # noqa: E402
from detector.initial_weights import initial_weights  # noqa: E402
from detector.networks import build_network  # noqa: E402
from detector.settings import Settings  # noqa: E402


def main() -> None:
    """Build, draw, export."""
    folder, name, side, classes = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    given = {
        "base_network": name,
        "image_shape": str(side),
        "num_classes": str(classes),
        "num_training_samples": "1",
    }
    network = build_network(name, side, classes)
    drawn = initial_weights(network, 0, {})
    weights = {key: mx.nd.array(value) for key, value in (drawn.parameters | drawn.statistics).items()}
    export_model(folder, network, weights, Settings.from_strings(given), given, 0, 0.0)


if __name__ == "__main__":
    main()
