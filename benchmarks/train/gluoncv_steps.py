"""GluonCV's SSD in training on one batch, again and again; runs in the environment `gluoncv`.

`python gluoncv_steps.py NETWORK SIDE BATCH`: each line `STEPS` on standard input is answered by the seconds they took.
"""

import sys
import time
import warnings

from detector.threads import set_openmp_threads

set_openmp_threads()  # before mxnet is imported
warnings.simplefilter("ignore")

import mxnet as mx  # noqa: E402
import numpy as np  # noqa: E402
from gluoncv.data.transforms.presets.ssd import SSDDefaultTrainTransform  # noqa: E402
from gluoncv.loss import SSDMultiBoxLoss  # noqa: E402
from gluoncv.model_zoo import get_model  # noqa: E402

NETWORKS = {"vgg-16": "ssd_300_vgg16_atrous_custom", "resnet-50": "ssd_512_resnet50_v1_custom"}


def main() -> None:
    """Build, make a batch of noise with two boxes in each picture, step as often as asked."""
    side, size = int(sys.argv[2]), int(sys.argv[3])
    network = get_model(NETWORKS[sys.argv[1]], classes=["first", "second"], pretrained_base=False)
    network.initialize()  # what the weights are costs no time, and Xavier refuses the expander's scales
    with mx.autograd.train_mode():
        _, _, anchors = network(mx.nd.zeros((1, 3, side, side)))
    prepare = SSDDefaultTrainTransform(side, side, anchors)
    rng = np.random.default_rng(0)
    boxes = np.array([[40.0, 40, 200, 200, 0], [120, 100, 280, 290, 1]])
    samples = [prepare(mx.nd.array(rng.integers(0, 255, (side, side, 3))), boxes) for _ in range(size)]
    pictures, classes, offsets = (mx.nd.stack(*parts) for parts in zip(*samples, strict=True))
    network.hybridize(static_alloc=True, static_shape=True)
    losses = SSDMultiBoxLoss()
    options = {"learning_rate": 1e-4, "momentum": 0.9, "wd": 5e-4}
    trainer = mx.gluon.Trainer(network.collect_params(), "sgd", options)

    def step() -> None:
        with mx.autograd.record():
            logits, moves, _ = network(pictures)
            total, _, _ = losses(logits, moves, classes, offsets)
        mx.autograd.backward(total)
        trainer.step(1)
        mx.nd.waitall()

    for _ in range(2):
        step()
    print(f"{anchors.shape[1]}", flush=True)
    for line in sys.stdin:
        begun = time.monotonic()
        for _ in range(int(line)):
            step()
        print(time.monotonic() - begun, flush=True)


if __name__ == "__main__":
    main()
