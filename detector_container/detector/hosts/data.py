"""What each host of a training has of the data: all of a channel that is replicated, a part of one that is sharded."""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from detector.batches import Share
from detector.channel import Sample
from detector.channels.input_configuration import SIDES
from detector.channels.named_pipe import StoppedError
from detector.hosts.peers import Peers
from dropspot.errors import InvalidInputError

Labels = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TrainingData:
    """The pictures that this host trains on and those that it validates, and the labels of all hosts' pictures.

    `digest` tells all hosts' pictures from others by their bytes, as they came and in their order.
    """

    samples: list[Sample]
    validation: list[Sample]
    labels: list[Labels]
    validation_labels: list[Labels]
    digest: str
    sharded: bool  # the hosts have different training pictures

    def share(self, batch_size: int, peers: Peers) -> Share:
        """Return this host's share of every epoch, which for shards is as long as the largest one's.

        Raises InvalidInputError where hosts that should have the same pictures have not: they would fall out of step.
        """
        counts = peers.gather(len(self.samples))
        if self.sharded:
            return Share(peers.place, peers.count, -(-max(counts) // batch_size))
        if len(set(counts)) > 1:
            raise InvalidInputError(
                f"the hosts have {', '.join(map(str, counts))} training pictures, but channel train is not"
                " ShardedByS3Key: every host must have the same"
            )
        return Share(peers.place, peers.count)


def loaded_data(load: Callable[[str], list[Sample]], sharded: frozenset[str], peers: Peers) -> TrainingData:
    """Load both channels on every host; raise StoppedError on all of them where one was told to stop meanwhile."""
    loaded: list[list[Sample]] = []
    with suppress(StoppedError):  # once all the others are told as well
        loaded = [load(side) for side in SIDES]
    labels = [[sample.labels.tolist() for sample in samples] for samples in loaded]
    everybodys = peers.gather(labels if peers.count > 1 else [True])
    digests = peers.gather([pictures_digest(samples) for samples in loaded])
    if not loaded or not all(everybodys):
        raise StoppedError
    samples, validation = loaded
    pictures = digests[0]  # of what every host has, and the first host's shards
    known = [[sample.labels for sample in samples], [sample.labels for sample in validation]]
    for place, side in enumerate(SIDES):
        if side in sharded and peers.count > 1:
            pictures = [*pictures, *(digest[place] for digest in digests[1:])]
            known[place] = [np.array(rows, np.float32).reshape(-1, 5) for part in everybodys for rows in part[place]]
    if "validation" not in sharded:  # each host looks at some of them
        validation = validation[peers.place :: peers.count]
    is_sharded = "train" in sharded and peers.count > 1
    return TrainingData(samples, validation, known[0], known[1], " ".join(pictures), is_sharded)


def pictures_digest(samples: Sequence[Sample]) -> str:
    """Return a digest of the pictures' bytes, in their order."""
    return hashlib.sha256(b"".join(sample.digest for sample in samples)).hexdigest()
