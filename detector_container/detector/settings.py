"""The hyperparameters of one training, typed, complete and checked before any work."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields

from dropspot import hyperparameters
from dropspot.errors import InvalidInputError

REQUIRED = ("num_classes", "num_training_samples")
_OF_THE_STEPS = ("lr_scheduler_step", "lr_scheduler_factor")
_OF_THE_RATE = ("learning_rate", "warmup_steps", "schedule", *_OF_THE_STEPS)
_OF_STOPPING = ("early_stopping_min_epochs", "early_stopping_patience", "early_stopping_tolerance")


@dataclass(frozen=True, slots=True)
class Settings:
    """One field per hyperparameter, under the built-in algorithm's own names (kv_store excepted.

    See `from_strings`).
    """

    num_classes: int
    num_training_samples: int
    base_network: str
    use_pretrained_model: int
    epochs: int
    mini_batch_size: int
    image_shape: int
    label_width: int
    learning_rate: float
    lr_scheduler_step: str
    lr_scheduler_factor: float
    optimizer: str
    momentum: float
    weight_decay: float
    overlap_threshold: float
    nms_threshold: float
    freeze_layer_pattern: str
    early_stopping: bool
    early_stopping_min_epochs: int
    early_stopping_patience: int
    early_stopping_tolerance: float
    schedule: str
    warmup_steps: int
    clip_gradient: float
    weight_averaging: float
    anchors: str
    nms_topk: int
    seed: int

    @classmethod
    def from_strings(cls, given: Mapping[str, str]) -> "Settings":
        """Read what SageMaker sends; raise InvalidInputError naming the first wrong hyperparameter.

        Names with a leading underscore are the service's own (a tuning job adds `_tuning_objective_metric`) and mean
        nothing here. `base_network` `auto` stands for the project's recipe, of which every value that is given takes
        precedence.
        """
        values = {name: str(value) for name, value in given.items() if not name.startswith("_")}
        typed = hyperparameters.parse(values, extensions=True)
        for name in REQUIRED:
            if name not in typed:
                raise InvalidInputError(f"hyperparameter {name} is required and was not given")
        if typed.get("base_network") == "auto":
            chosen = hyperparameters.over_recipe(values, "detector", int(typed["num_training_samples"]))
            typed = hyperparameters.parse(chosen, extensions=True)
        complete = hyperparameters.defaults(extensions=True) | typed
        hyperparameters.refuse_combinations(complete)
        settings = cls(**{field.name: complete[field.name] for field in fields(cls)})  # type: ignore[arg-type]
        # The default is left alone: a batch is filled up from the front. What the channel really holds: see job.py.
        if "mini_batch_size" in values and settings.mini_batch_size > settings.num_training_samples:
            raise InvalidInputError(
                f"hyperparameter mini_batch_size is {settings.mini_batch_size}: by num_training_samples the channel"
                f" holds only {settings.num_training_samples} pictures"
            )
        return settings

    def step_epochs(self) -> tuple[int, ...]:
        """Return the epochs at whose beginning the learning rate is multiplied by `lr_scheduler_factor`."""
        return tuple(int(epoch) for epoch in self.lr_scheduler_step.split(",") if epoch.strip())

    @property
    def decays(self) -> bool:
        """Whether `weight_decay` is used.

        By sgd and rmsprop, as the built-in algorithm documents it; by adam on the networks alone that the built-in
        doesn't have, whose recipe was measured with it.
        """
        own_network = self.base_network not in hyperparameters.BUILT_IN_NETWORKS
        return self.optimizer in ("sgd", "rmsprop") or (self.optimizer == "adam" and own_network)

    def without_effect(self, given: Collection[str]) -> list[str]:
        """Say of each of these hyperparameters that changes nothing what makes it so."""
        reasons: dict[str, str] = {}
        if not self.early_stopping:
            reasons |= dict.fromkeys(_OF_STOPPING, "early_stopping is False")
        if self.schedule == "cosine":
            reasons |= dict.fromkeys(_OF_THE_STEPS, "schedule is cosine")
        elif not self.step_epochs():
            reasons["lr_scheduler_factor"] = "lr_scheduler_step names no epoch"
        if self.optimizer != "sgd":
            reasons["momentum"] = f"optimizer is {self.optimizer}"
        if not self.decays:
            reasons["weight_decay"] = f"optimizer is {self.optimizer} and base_network is {self.base_network}"
        if self.optimizer == "adadelta":
            reasons["weight_decay"] = "optimizer is adadelta"
            reasons |= dict.fromkeys(_OF_THE_RATE, "adadelta has no learning rate")
        return [f"hyperparameter {name} has no effect: {reasons[name]}" for name in given if name in reasons]
