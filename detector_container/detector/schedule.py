"""The learning rate at each step."""

import math
from dataclasses import dataclass

_CONSTANT_SHARE = 0.6  # of the training; the cosine takes the rest
_FINAL_SHARE = 0.02  # of the learning rate, where the cosine ends


@dataclass(frozen=True, slots=True)
class Schedule:
    """`kind` step.

    Multiplied by `factor` at the beginning of each epoch in `step_epochs`. cosine: constant, then annealed.
    """

    kind: str
    learning_rate: float
    warmup_steps: int
    step_epochs: tuple[int, ...]
    factor: float
    steps_per_epoch: int
    total_steps: int

    def at(self, step: int) -> float:
        """Return the learning rate of step 0, 1 and so on."""
        rate = self.learning_rate * min((step + 1) / (self.warmup_steps + 1), 1)
        if self.kind == "step":
            return rate * self.factor ** sum(step >= epoch * self.steps_per_epoch for epoch in self.step_epochs)
        done = (step / max(self.total_steps, 1) - _CONSTANT_SHARE) / (1 - _CONSTANT_SHARE)
        if done <= 0:
            return rate
        return rate * (_FINAL_SHARE + (1 - _FINAL_SHARE) * (1 + math.cos(math.pi * min(done, 1))) / 2)
