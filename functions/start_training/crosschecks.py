"""What no single hyperparameter's range says: whether they fit the data, the machines and each other.

GPUs are those of the families that the built-in algorithm trains on, and the limits those of its documentation ("Object
Detection Hyperparameters", mini_batch_size; "EC2 Instance Recommendation for the Object Detection Algorithm").
"""

import re
from collections.abc import Mapping

from dropspot.errors import InvalidInputError, NotFoundError
from dropspot.plan import BUILT_IN, TrainingPlan
from dropspot.ports import ObjectStore
from dropspot.prepared import Prepared
from dropspot.runs import Run

_FAMILY = re.compile(r"ml\.(p2|p3|p3dn|g4dn|g5)\.(\d*xlarge)")
_GPUS = {
    "p2": {"8xlarge": 8, "16xlarge": 16},
    "p3": {"8xlarge": 4, "16xlarge": 8},
    "p3dn": {"24xlarge": 8},
    "g4dn": {"12xlarge": 4},
    "g5": {"12xlarge": 4, "24xlarge": 4, "48xlarge": 8},
}
_LARGEST_ON_P3 = {"resnet-50": 32, "vgg-16": 64}  # on an ml.p3.2xlarge at the least image_shape, 300


def check(values: Mapping[str, str], plan: TrainingPlan, prepared: Prepared, algorithm: str) -> None:
    """Raise InvalidInputError, one sentence, for hyperparameters that can't be trained with."""
    _check_labels(int(values["label_width"]), prepared)
    batch = max(int(values["mini_batch_size"]), (plan.tuning and plan.tuning.largest_batch) or 0)
    machines = plan.instance.count
    if batch * machines > prepared.samples:
        each = f" on each of {machines} instances" if machines > 1 else ""
        raise InvalidInputError(
            f"hyperparameter mini_batch_size is {batch}{each}, more than the {prepared.samples} training samples"
        )
    if algorithm == BUILT_IN:
        _check_machine(batch, values["base_network"], plan.instance.type)


def _check_labels(width: int, prepared: Prepared) -> None:
    needed = 2 + 5 * max(1, prepared.max_boxes)
    if width < needed:
        raise InvalidInputError(
            f"label_width is {width}, but the fullest picture has {prepared.max_boxes} boxes, which take {needed}"
        )


def _check_machine(batch: int, network: str, instance: str) -> None:
    family = _FAMILY.fullmatch(instance)
    if family is None:
        raise InvalidInputError(
            "the built-in algorithm trains on GPUs, on instances of the families P2, P3, G4dn and G5: "
            f"{instance} is none of them"
        )
    gpus = _GPUS[family[1]].get(family[2], 1)
    if batch < gpus:
        raise InvalidInputError(
            f"hyperparameter mini_batch_size is {batch}: {instance} divides it among {gpus} GPUs, so it must be {gpus} "
            "at least"
        )
    if instance == "ml.p3.2xlarge" and batch > _LARGEST_ON_P3[network]:
        raise InvalidInputError(
            f"hyperparameter mini_batch_size is {batch}: {_LARGEST_ON_P3[network]} is the most that {instance} can "
            f"hold with base_network {network}"
        )


def check_records(store: ObjectStore, run: Run, prepared: Prepared) -> None:
    """Raise InvalidInputError where the record file that was written has not as many records as the report says.

    The index has a line for each record. Other outputs have no record file.
    """
    if prepared.output != "recordio":
        return
    try:
        records = sum(piece.count(b"\n") for piece in store.pieces(run.key("prepared", "train", "train.idx")))
    except NotFoundError:
        return  # prepared before there were indexes
    if records != prepared.samples:
        raise InvalidInputError(
            f"preparation reports {prepared.samples} training samples, but train.rec holds {records} records"
        )
