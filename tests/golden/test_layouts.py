"""One data set expressed in every layout comes out as the same labels, read back from the records by MXNet."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
from golden.preparations import CHANNELS, Prepared, prepare
from unit.prep.minis import LAYOUT_WRITERS, Labelled, MiniDataset

pytest.importorskip("mxnet", reason="MXNet is only in .envs/oracle")

CLASSES = ("ant", "bee", "cat", "dog")
# Layouts of whole pixels state the very same edges; YOLO's are fractions that come back within a unit or two of the
# seventh decimal, which is where labels are cut.
TOLERANCES = {"voc": 0.0, "coco": 0.0, "sagemaker-json": 0.0, "manifest": 0.0, "yolo": 2e-7}
DECIMAL = 1e-7


def scene(number: int) -> Labelled:
    draw = random.Random(number)
    width, height = draw.randrange(90, 300), draw.randrange(90, 300)
    boxes = []
    for index in range(1 + number % 6):
        # every third picture has a box over all of it, so that whoever looks can tell how its pixels are counted
        whole = index == 0 and number % 3 == 0
        xmin, ymin = (0, 0) if whole else (draw.randrange(width - 20), draw.randrange(height - 20))
        xmax, ymax = (width, height) if whole else (draw.randrange(xmin + 9, width), draw.randrange(ymin + 9, height))
        boxes.append((CLASSES[(number + index) % 4], xmin, ymin, xmax, ymax))
    return Labelled(f"scene_{number:02d}", tuple(boxes), (width, height), seed=5000 + number)


SCENES = tuple(scene(number) for number in range(48))


@pytest.fixture(scope="session")
def expressed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Prepared]:
    """A function that prepares the scenes as expressed in a layout, once for each."""
    done: dict[str, Prepared] = {}

    def of(layout: str) -> Prepared:
        if layout not in done:
            root = tmp_path_factory.mktemp(layout) / "ml"
            LAYOUT_WRITERS[layout](MiniDataset(root), SCENES)
            done[layout] = prepare(root)
            assert done[layout].report["layouts"] == {layout: len(SCENES)}
        return done[layout]

    return of


@pytest.mark.parametrize("layout", LAYOUT_WRITERS)
def test_every_layout_gives_the_labels_that_voc_gives(layout: str, expressed: Callable[[str], Prepared]) -> None:
    reference, found = expressed("voc").labels(), expressed(layout).labels()
    assert {side: [stem for stem, _ in pictures] for side, pictures in found.items()} == {
        side: [stem for stem, _ in pictures] for side, pictures in reference.items()
    }
    for side, pictures in reference.items():
        for (stem, theirs), (_, ours) in zip(pictures, found[side], strict=True):
            assert np.shape(ours) == np.shape(theirs), stem
            assert np.abs(np.subtract(ours, theirs)).max() <= TOLERANCES[layout], stem


def test_coco_and_voc_give_the_same_channels_byte_for_byte(expressed: Callable[[str], Prepared]) -> None:
    for channel in CHANNELS:
        for suffix in ("rec", "idx", "lst"):
            of_coco, of_voc = (expressed(layout).file(channel, suffix).read_bytes() for layout in ("coco", "voc"))
            assert of_coco == of_voc


@pytest.mark.parametrize("layout", LAYOUT_WRITERS)
def test_labels_are_the_edges_that_were_stated(layout: str, expressed: Callable[[str], Prepared]) -> None:
    prepared = expressed(layout)
    assert prepared.classes == list(CLASSES)
    stated = {
        picture.stem: sorted(
            (CLASSES.index(name), a / picture.size[0], b / picture.size[1], c / picture.size[0], d / picture.size[1])
            for name, a, b, c, d in picture.boxes
        )
        for picture in SCENES
    }
    found = {stem: boxes for pictures in prepared.labels().values() for stem, boxes in pictures}
    assert found.keys() == stated.keys()
    for stem, boxes in found.items():
        assert np.abs(np.subtract(boxes, stated[stem])).max() <= DECIMAL
