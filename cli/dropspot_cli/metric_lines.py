"""The metric lines of Object Detection's training log, the built-in algorithm's and detector_container's alike."""

import re
from dataclasses import dataclass, field

_LOSS = re.compile(
    r"#quality_metric: host=\S+, epoch=(\d+), batch=\S+ train (smooth_l1|cross_entropy) <loss>=\(?([^\s)]+)"
)
_SCORE = re.compile(r"#quality_metric: host=\S+, epoch=(\d+), validation mAP <score>=\(?([^\s)]+)")


@dataclass(frozen=True, slots=True)
class Epoch:
    """One pass over the training pictures; `loss` adds both losses and is None where the log held none."""

    number: int
    loss: float | None
    map50: float


@dataclass(slots=True)
class EpochReader:
    """Reads the log line by line; an epoch is complete with its validation score."""

    _losses: dict[int, dict[str, float]] = field(default_factory=dict)

    def feed(self, line: str) -> Epoch | None:
        """Return the epoch that this line completes. Of several losses of one epoch the last one counts."""
        if found := _LOSS.search(line):
            self._losses.setdefault(int(found[1]), {})[found[2]] = float(found[3])
        elif found := _SCORE.search(line):
            number = int(found[1])
            losses = self._losses.pop(number, {})
            return Epoch(number, sum(losses.values()) if losses else None, float(found[2]))
        return None
