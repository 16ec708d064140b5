"""SSD's anchors, matching, targets, loss and suppression, word for word from the paper, box by box.

Liu et al., "SSD: Single Shot MultiBox Detector" (ECCV 2016), sections 2.2 and 2.3, and equations 1 to 3. An oracle for
the tests: plain loops in double precision that share no code with what they are held against. What the paper leaves
open is as in its authors' code: offsets are divided by the variances 0.1, 0.1, 0.2, 0.2; centres of cells are at
(i + 0.5) / side; each true box takes its best default box from the best pair down.
"""

import math

Box = tuple[float, float, float, float]  # xmin, ymin, xmax, ymax
VARIANCES = (0.1, 0.1, 0.2, 0.2)


def default_boxes(side: int, sizes: tuple[float, ...], ratios: tuple[float, ...]) -> list[Box]:
    """Width s * sqrt(ratio), height s / sqrt(ratio): every size at the first ratio, the first size at the others."""
    shapes = [(size, ratios[0]) for size in sizes] + [(sizes[0], ratio) for ratio in ratios[1:]]
    boxes = []
    for row in range(side):
        for column in range(side):
            x, y = (column + 0.5) / side, (row + 0.5) / side
            for size, ratio in shapes:
                width, height = size * math.sqrt(ratio), size / math.sqrt(ratio)
                boxes.append((x - width / 2, y - height / 2, x + width / 2, y + height / 2))
    return boxes


def jaccard(one: Box, other: Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    common = width * height
    area, other_area = ((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return common / (area + other_area - common)


def matched(defaults: list[Box], truths: list[Box], threshold: float = 0.5) -> list[int]:
    """The true box of each default box, or -1."""
    matches = [-1] * len(defaults)
    pairs = [(jaccard(d, t), -i, -j) for i, d in enumerate(defaults) for j, t in enumerate(truths)]
    taken: set[int] = set()
    for overlap, place, truth in sorted(pairs, reverse=True):  # of equals the earlier default box, then truth
        if overlap > 0 and matches[-place] == -1 and -truth not in taken:
            matches[-place] = -truth
            taken.add(-truth)
    for place, default in enumerate(defaults):
        if matches[place] == -1 and truths:
            overlaps = [jaccard(default, truth) for truth in truths]
            if max(overlaps) > threshold:
                matches[place] = overlaps.index(max(overlaps))
    return matches


def offsets(default: Box, truth: Box) -> list[float]:
    """Equation 2's g-hat, over the variances."""
    (dx, dy, dw, dh), (gx, gy, gw, gh) = centred(default), centred(truth)
    plain = ((gx - dx) / dw, (gy - dy) / dh, math.log(gw / dw), math.log(gh / dh))
    return [value / variance for value, variance in zip(plain, VARIANCES, strict=True)]


def moved(default: Box, predicted: list[float]) -> Box:
    """The box that predicted offsets lead to, clipped to the picture."""
    x, y, width, height = centred(default)
    shift = [value * variance for value, variance in zip(predicted, VARIANCES, strict=True)]
    x, y = x + shift[0] * width, y + shift[1] * height
    width, height = width * math.exp(shift[2]), height * math.exp(shift[3])
    corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    return tuple(min(max(value, 0.0), 1.0) for value in corners)  # type: ignore[return-value]


def centred(box: Box) -> tuple[float, float, float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, box[2] - box[0], box[3] - box[1]


def losses(
    logits: list[list[list[float]]],
    predicted: list[list[list[float]]],
    classes: list[list[int]],
    targets: list[list[list[float]]],
) -> tuple[float, float, set[tuple[int, int]]]:
    """Confidence and localisation loss over N (equations 1 to 3), and which default boxes the first one counts.

    In each picture the negatives of greatest confidence loss, at most three for each positive.
    """
    confidence, localisation, count, counted = 0.0, 0.0, 0, set()
    for picture, own_classes in enumerate(classes):
        entropies = [cross_entropy(row, one) for row, one in zip(logits[picture], own_classes, strict=True)]
        positives = [place for place, one in enumerate(own_classes) if one > 0]
        negatives = sorted((p for p, one in enumerate(own_classes) if one == 0), key=lambda p: -entropies[p])
        chosen = positives + negatives[: 3 * len(positives)]
        counted |= {(picture, place) for place in chosen}
        confidence += sum(entropies[place] for place in chosen)
        count += len(positives)
        for place in positives:
            for value, wanted in zip(predicted[picture][place], targets[picture][place], strict=True):
                size = abs(value - wanted)
                localisation += 0.5 * size * size if size < 1 else size - 0.5
    return confidence / count, localisation / count, counted


def cross_entropy(logits: list[float], class_index: int) -> float:
    top = max(logits)
    return math.log(sum(math.exp(value - top) for value in logits)) + top - logits[class_index]


def suppressed(rows: list[tuple[int, float, Box]], threshold: float) -> list[tuple[int, float, Box]]:
    """The rows (class, score, box; best first) that overlap no better kept row of their class by more than that."""
    kept: list[tuple[int, float, Box]] = []
    for row in rows:
        if all(other[0] != row[0] or jaccard(other[2], row[2]) <= threshold for other in kept):
            kept.append(row)
    return kept
