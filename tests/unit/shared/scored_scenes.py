"""Held-out pictures with answers to score: generated ones, and real truth with answers that are a little off."""

import random
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from xml.etree.ElementTree import fromstring

from dropspot.evaluation import HeldOutPicture
from dropspot.scoring import Box, Detection

Scenes = tuple[dict[str, HeldOutPicture], dict[str, list[Detection]]]


def generated(
    seed: int, *, pictures: int, classes: int, detections: int, crowded: bool = True, whole: bool = False
) -> Scenes:
    """Return pictures full of boxes, small to large, some difficult, and answers: near hits, doubles, wrong classes.

    Scores have two decimals, so that many are equal. `crowded` boxes overlap each other; `whole` ones are of whole
    pixels, so that overlaps of exactly a threshold occur.
    """
    generator = random.Random(seed)
    truth, found = {}, {}
    for number in range(pictures):
        width, height = generator.choice([(640, 480), (500, 375), (300, 400)])
        boxes = list(_boxes(generator, classes, width, height, crowded))
        answers = list(_answers(generator, boxes, classes, detections, width, height))
        if whole:
            boxes = [box._replace(**_whole(box)) for box in boxes]
            answers = [answer._replace(**_whole(answer)) for answer in answers]
        generator.shuffle(answers)
        name = f"{number:05}.jpg"
        truth[name] = HeldOutPicture(width, height, tuple(boxes))
        found[name] = answers
    return truth, found


def _whole(box: Box | Detection) -> dict[str, float]:
    xmin, ymin = round(box.xmin), round(box.ymin)
    return {"xmin": xmin, "ymin": ymin, "xmax": max(xmin + 1, round(box.xmax)), "ymax": max(ymin + 1, round(box.ymax))}


def _boxes(generator: random.Random, classes: int, width: int, height: int, crowded: bool) -> Iterator[Box]:
    for cell in range(generator.choice([0, 1, 2, 4, 9])):
        w, h = width * generator.uniform(0.02, 0.32), height * generator.uniform(0.02, 0.32)
        if crowded:
            x, y = generator.uniform(0, width - w), generator.uniform(0, height - h)
        else:  # one in each of nine fields
            x, y = width * (cell % 3) / 3, height * (cell // 3) / 3
        yield Box(generator.randrange(classes), x, y, x + w, y + h, difficult=generator.random() < 0.1)


def _answers(
    generator: random.Random, boxes: Sequence[Box], classes: int, number: int, width: int, height: int
) -> Iterator[Detection]:
    made = 0
    for box in boxes:
        for _ in range(generator.choice([0, 1, 1, 2, 3])):
            class_id = box.class_id if generator.random() < 0.9 else generator.randrange(classes)
            yield _near(generator, box, class_id, round(generator.uniform(0.2, 1), 2))
            made += 1
    for _ in range(number - made):
        w, h = width * generator.uniform(0.02, 0.4), height * generator.uniform(0.02, 0.4)
        x, y = generator.uniform(0, width - w), generator.uniform(0, height - h)
        score = round(generator.random() ** 3, 2)
        yield Detection(score, generator.randrange(classes), x, y, x + w, y + h)


def _near(generator: random.Random, box: Box, class_id: int, score: float) -> Detection:
    spread = generator.choice([0.0, 0.03, 0.1])
    w, h = box.xmax - box.xmin, box.ymax - box.ymin
    x, y = box.xmin + generator.gauss(0, spread) * w, box.ymin + generator.gauss(0, spread) * h
    return Detection(score, class_id, x, y, x + w * generator.uniform(0.9, 1.1), y + h * generator.uniform(0.9, 1.1))


def annotated(archive: Path, name: Callable[[str, str], str]) -> tuple[list[str], dict[str, HeldOutPicture]]:
    """Return the labels and the pictures that the VOC annotations in an archive describe.

    `name` makes an object's label of its own name and its file's.
    """
    labels, truth = list[str](), {}
    with tarfile.open(archive) as files:
        for member in sorted(files, key=lambda one: one.name):
            if member.name.endswith(".xml") and not Path(member.name).name.startswith("."):
                file = files.extractfile(member)
                assert file is not None
                root = fromstring(file.read())
                boxes = []
                for found in root.iter("object"):
                    label = name(found.findtext("name", ""), Path(member.name).stem)
                    if label not in labels:
                        labels.append(label)
                    corners = [float(found.findtext(f"bndbox/{edge}", "")) for edge in ("xmin", "ymin", "xmax", "ymax")]
                    difficult = found.findtext("difficult") == "1"
                    boxes.append(Box(labels.index(label), *corners, difficult=difficult))
                width, height = int(root.findtext("size/width", "")), int(root.findtext("size/height", ""))
                truth[member.name] = HeldOutPicture(width, height, tuple(boxes))
    return labels, truth


def answered(
    seed: int, truth: dict[str, HeldOutPicture], classes: int, detections: int = 0
) -> dict[str, list[Detection]]:
    """Return answers that are a little off."""
    generator = random.Random(seed)
    return {
        name: list(_answers(generator, picture.boxes, classes, detections, picture.width, picture.height))
        for name, picture in truth.items()
    }
