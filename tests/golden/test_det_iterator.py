"""What training reads: MXNet's own iterator over the record files, without any augmentation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from golden.preparations import CHANNELS, Prepared
from numpy.typing import NDArray

mx = pytest.importorskip("mxnet", reason="MXNet is only in .envs/oracle")

PADDING = -1.0
BATCH = 7  # so that the last batch of most sets is not full
TOLERANCE = 1e-6


def rows(rec: Path, pad_width: int) -> Iterator[NDArray[np.float32]]:
    """Each sample's row: channels, height, width, number of label floats, the label, padding."""
    iterator = mx.io.ImageDetRecordIter(
        path_imgrec=str(rec),
        data_shape=(3, 32, 32),
        batch_size=BATCH,
        label_pad_width=pad_width,
        label_pad_value=PADDING,
        shuffle=False,
        preprocess_threads=1,
        verbose=False,
    )
    for batch in iterator:
        yield from batch.label[0].asnumpy()[: BATCH - batch.pad]


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("spare", [0, 64])
def test_the_iterator_reads_every_label_back(prepared: Prepared, channel: str, spare: int) -> None:
    width = prepared.report["label_width"] + spare
    lines = prepared.lines(channel)
    for line, row in zip(lines, rows(prepared.file(channel, "rec"), width), strict=True):
        count = len(line.label)
        assert count <= width
        assert row[3] == count
        assert np.abs(row[4 : 4 + count] - np.array(line.label)).max() <= TOLERANCE
        assert (row[4 + count :] == PADDING).all()


def test_the_iterator_has_as_many_samples_as_the_report_says(prepared: Prepared) -> None:
    found = sum(1 for _ in rows(prepared.file("train", "rec"), prepared.report["label_width"]))
    assert found == prepared.report["num_training_samples"] == prepared.report["splits"]["train"]["images"]


@pytest.mark.parametrize("channel", CHANNELS)
def test_every_box_is_one_that_the_iterator_keeps(prepared: Prepared, channel: str) -> None:
    # the iterator drops boxes without area and outside the picture in silence, so none may be written
    classes = range(len(prepared.classes))
    for row in rows(prepared.file(channel, "rec"), prepared.report["label_width"]):
        boxes = row[6 : 4 + int(row[3])].reshape(-1, 5)
        assert len(boxes)
        assert set(boxes[:, 0].astype(int)) <= set(classes)
        assert ((boxes[:, 1:] >= 0) & (boxes[:, 1:] <= 1)).all()
        assert (boxes[:, 1:3] < boxes[:, 3:]).all()


def test_every_number_of_boxes_from_1_to_60_occurs(crowded: Prepared) -> None:
    read = {len(line.label) // 5 for channel in CHANNELS for line in crowded.lines(channel)}
    assert read | {len(stated["boxes"]) for stated in crowded.truth.values()} == set(range(1, 61))
    assert len(read) > 50
