"""What the hosts of a training know together of the data that each has loaded."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from PIL import Image

from detector.channel import Sample
from detector.hosts.data import loaded_data, pictures_digest
from detector.hosts.peers import Alone

PIXELS = Image.new("RGB", (4, 4))
LABELS = np.array([[0, 0.1, 0.2, 0.3, 0.4]], np.float32)
Channels = dict[str, list[Sample]]


def samples(*pictures: bytes) -> list[Sample]:
    return [Sample(LABELS, None, PIXELS, picture) for picture in pictures]


class Second(Alone):
    """The second of two hosts; the first has these channels."""

    place, count = 1, 2

    def __init__(self, first: Channels) -> None:
        labels = [[sample.labels.tolist() for sample in first[side]] for side in ("train", "validation")]
        self.first: list[Any] = [labels, [pictures_digest(first[side]) for side in ("train", "validation")]]

    def gather(self, value: Any) -> list[Any]:
        return [self.first.pop(0), value]


def digest_of(*hosts: Channels, sharded: Sequence[str] = ()) -> str:
    peers = Alone() if len(hosts) == 1 else Second(hosts[0])
    return loaded_data(lambda side: hosts[-1][side], frozenset(sharded), peers).digest


ONE = {"train": samples(b"a", b"b"), "validation": samples(b"c")}


@pytest.mark.parametrize(
    "other",
    [
        {"train": samples(b"a", b"B"), "validation": samples(b"c")},
        {"train": samples(b"b", b"a"), "validation": samples(b"c")},
        {"train": samples(b"a", b"b"), "validation": samples(b"C")},
        {"train": samples(b"a"), "validation": samples(b"b", b"c")},
    ],
)
def test_other_pictures_are_other_data_whatever_their_boxes(other: Channels) -> None:
    assert digest_of(ONE) == digest_of({side: list(values) for side, values in ONE.items()})
    assert digest_of(ONE) != digest_of(other)


def test_every_hosts_shard_counts_and_what_all_have_counts_once() -> None:
    other = {"train": samples(b"a", b"d"), "validation": samples(b"c")}
    assert digest_of(ONE, ONE) == digest_of(ONE)
    sharded = [digest_of(*hosts, sharded=["train"]) for hosts in ((ONE, ONE), (ONE, other), (other, ONE))]
    assert len(set(sharded)) == 3
