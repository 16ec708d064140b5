"""Anchors, matching, targets, loss and suppression against two oracles, on fixed tensors, to a millionth.

One is naive_ssd.py, written from the paper; the other is MXNet's own operators, as the built-in algorithm's network has
them. Where those differ from ours:

- MultiBoxTarget also mines the hard negatives and marks what is left out with class -1; ours does it in the loss. It
  takes as hard the anchors of least background probability, ours those of greatest cross-entropy: the same order.
- MultiBoxTarget computes the offsets in single precision, where corners nearly cancel each other out: equal to 1e-5.
- MultiBoxTarget takes no negatives from a picture without a box, ours sixteen.
- MultiBoxDetection marks what it suppresses with class -1, ours leaves it out.
"""

import mxnet as mx
import naive_ssd
import numpy as np
import pytest

from detector.anchors import anchor_boxes
from detector.detections import SCORE_FLOOR, detections
from detector.loss import detection_loss
from detector.networks import build_network
from detector.targets import OVERLAP, VARIANCES, picture_targets

CLOSE = {"rtol": 1e-6, "atol": 1e-6}
TINY = build_network("tiny", 128, 3).levels
ANCHORS = anchor_boxes(TINY)


def drawn_labels(seed: int, boxes: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 0.6, (boxes, 2))
    sides = rng.uniform(0.05, 0.39, (boxes, 2))
    return np.concatenate([rng.integers(0, 3, (boxes, 1)), corners, corners + sides], axis=1).astype(np.float32)


def drawn_answers(seed: int, pictures: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Logits (B, N, 4) and offsets (B, N, 4) as a network half way through its training gives them."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (pictures, len(ANCHORS), 4)).astype(np.float32)
    return logits, rng.normal(0, 1, (pictures, len(ANCHORS), 4)).astype(np.float32)


def multi_box_target(labels: list[np.ndarray], logits: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """MXNet's target offsets (B, N, 4), their mask, and classes (B, N)."""
    most = max(map(len, labels))
    padded = np.full((len(labels), most, 5), -1, np.float32)
    for row, own in zip(padded, labels, strict=True):
        row[: len(own)] = own
    offsets, mask, classes = mx.nd.contrib.MultiBoxTarget(
        mx.nd.array(ANCHORS[None]),
        mx.nd.array(padded),
        mx.nd.array(logits.transpose(0, 2, 1)),
        overlap_threshold=OVERLAP,
        ignore_label=-1,
        negative_mining_ratio=3,
        negative_mining_thresh=OVERLAP,
        variances=VARIANCES,
    )
    shape = (len(labels), len(ANCHORS), 4)
    return offsets.asnumpy().reshape(shape), mask.asnumpy().reshape(shape), classes.asnumpy()


@pytest.mark.parametrize("level", TINY, ids=lambda level: f"{level.side}x{level.side}")
def test_anchors(level) -> None:
    ours = anchor_boxes([level])
    map_of_its_side = mx.nd.zeros((1, 1, level.side, level.side))
    theirs = mx.nd.contrib.MultiBoxPrior(map_of_its_side, sizes=level.sizes, ratios=level.ratios)[0].asnumpy()
    np.testing.assert_allclose(ours, theirs, **CLOSE)
    np.testing.assert_allclose(ours, naive_ssd.default_boxes(level.side, level.sizes, level.ratios), **CLOSE)


@pytest.mark.parametrize(("seed", "boxes"), [(0, 1), (1, 3), (2, 12), (3, 40)])
def test_matching_and_target_offsets(seed: int, boxes: int) -> None:
    labels = drawn_labels(seed, boxes)
    classes, offsets = picture_targets(ANCHORS, labels)

    defaults, truths = [tuple(map(float, box)) for box in ANCHORS], [tuple(map(float, row[1:])) for row in labels]
    matches = naive_ssd.matched(defaults, truths)
    assert classes.tolist() == [0 if match < 0 else int(labels[match, 0]) + 1 for match in matches]
    expected = [[0.0] * 4 if m < 0 else naive_ssd.offsets(d, truths[m]) for d, m in zip(defaults, matches, strict=True)]
    np.testing.assert_allclose(offsets, expected, **CLOSE)

    logits, _ = drawn_answers(seed)
    their_offsets, mask, their_classes = multi_box_target([labels], logits)
    np.testing.assert_array_equal(np.maximum(their_classes[0], 0), classes)
    np.testing.assert_array_equal(mask[0].any(axis=1), classes > 0)
    np.testing.assert_allclose(offsets, their_offsets[0], rtol=1e-5, atol=1e-5)  # theirs in single precision


@pytest.mark.parametrize("seed", range(3))
def test_the_loss_and_which_negatives_it_takes(seed: int) -> None:
    labels = [drawn_labels(seed + 10 * picture, 2 + picture) for picture in range(3)]
    logits, offsets = drawn_answers(seed, pictures=3)
    targets = [picture_targets(ANCHORS, own) for own in labels]
    classes, wanted = (np.stack(part) for part in zip(*targets, strict=True))
    ours = detection_loss(logits, offsets, classes, wanted)
    taken = set(map(tuple, np.argwhere(ours.logits_gradient.any(axis=-1)).tolist()))

    entropy, smooth, counted = naive_ssd.losses(*(part.tolist() for part in (logits, offsets, classes, wanted)))
    assert ours.cross_entropy == pytest.approx(entropy, rel=1e-6)
    assert ours.smooth_l1 == pytest.approx(smooth, rel=1e-6)
    assert taken == counted

    _, mask, their_classes = multi_box_target(labels, logits)
    assert taken == set(map(tuple, np.argwhere(their_classes >= 0).tolist()))
    np.testing.assert_array_equal(np.where(their_classes < 0, 0, their_classes), classes)
    values, predicted = mx.nd.array(logits), mx.nd.array(offsets)
    values.attach_grad()
    predicted.attach_grad()
    with mx.autograd.record():
        chosen = mx.nd.array(their_classes >= 0)
        picked = mx.nd.pick(mx.nd.log_softmax(values, axis=-1), mx.nd.array(np.maximum(their_classes, 0)), axis=-1)
        count = float((classes > 0).sum())
        their_entropy = -(picked * chosen).sum() / count
        their_smooth = mx.nd.smooth_l1((predicted - mx.nd.array(wanted)) * mx.nd.array(mask), scalar=1).sum() / count
        both = their_entropy + their_smooth
    both.backward()
    assert ours.cross_entropy == pytest.approx(float(their_entropy.asscalar()), rel=1e-6)
    assert ours.smooth_l1 == pytest.approx(float(their_smooth.asscalar()), rel=1e-6)
    np.testing.assert_allclose(ours.logits_gradient, values.grad.asnumpy(), **CLOSE)
    np.testing.assert_allclose(ours.offsets_gradient, predicted.grad.asnumpy(), **CLOSE)


@pytest.mark.parametrize("threshold", [0.45, 0.2, 1.0])
@pytest.mark.parametrize("topk", [400, 30])
def test_decoding_and_suppression(threshold: float, topk: int) -> None:
    logits, offsets = drawn_answers(7)
    exponents = np.exp(logits[0])
    probabilities = exponents / exponents.sum(axis=-1, keepdims=True)
    ours = detections(probabilities, offsets[0], ANCHORS, threshold, topk)

    rows = []
    for place, default in enumerate(ANCHORS):
        class_id = int(probabilities[place, 1:].argmax())
        score = float(probabilities[place, class_id + 1])
        if score >= SCORE_FLOOR:
            box = naive_ssd.moved(tuple(map(float, default)), [float(value) for value in offsets[0, place]])
            rows.append((class_id, score, box))
    rows = sorted(rows, key=lambda row: -row[1])[:topk]
    expected = np.array([(one, score, *box) for one, score, box in naive_ssd.suppressed(rows, threshold)])
    assert len(ours) == len(expected) > 5
    np.testing.assert_allclose(ours, expected, **CLOSE)

    theirs = mx.nd.contrib.MultiBoxDetection(
        mx.nd.array(probabilities.T[None]),
        mx.nd.array(offsets.reshape(1, -1)),
        mx.nd.array(ANCHORS[None]),
        nms_threshold=threshold,
        nms_topk=topk,
        threshold=SCORE_FLOOR,
        variances=VARIANCES,
    )[0].asnumpy()
    np.testing.assert_allclose(ours, theirs[theirs[:, 0] >= 0], **CLOSE)
