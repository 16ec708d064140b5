"""Hyperparameters that are in range each by itself and can't be trained with all the same."""

import json

import pytest

from crosschecks import check, check_records
from dropspot.errors import InvalidInputError
from dropspot.plan import BUILT_IN, DETECTOR, Instance, PlanDefaults, TrainingPlan
from dropspot.prepared import Prepared, hyperparameters_for
from dropspot.runs import Run
from dropspot.testing import MemoryStore

RUN = Run("dropspot", "pets-0123456789")
PREPARED = Prepared(classes=2, samples=100, label_width=42, max_boxes=4)


def checked(
    algorithm: str = BUILT_IN,
    *,
    instance: str = "ml.g4dn.xlarge",
    count: int = 1,
    prepared: Prepared = PREPARED,
    tuning: dict[str, object] | None = None,
    **hyperparameters: object,
) -> dict[str, str]:
    stated = {"hyperparameters": hyperparameters} | ({"tuning": tuning} if tuning else {})
    plan = TrainingPlan.parse(json.dumps(stated).encode(), PlanDefaults(Instance(instance, count)), algorithm)
    values = hyperparameters_for(plan, prepared, algorithm)
    check(values, plan, prepared, algorithm)
    return values


def refused(message: str, *arguments: str, **named: object) -> None:
    with pytest.raises(InvalidInputError, match=message):
        checked(*arguments, **named)  # type: ignore[arg-type]


@pytest.mark.parametrize("algorithm", [BUILT_IN, DETECTOR])
def test_what_the_recipe_chooses_passes(algorithm: str) -> None:
    for samples in (1, 7, 100, 10_000):
        for count in (1, 2, 4):
            if samples >= count:
                checked(algorithm, count=count, prepared=Prepared(2, samples, 42))


@pytest.mark.parametrize("algorithm", [BUILT_IN, DETECTOR])
def test_a_mini_batch_is_made_of_training_samples(algorithm: str) -> None:
    checked(algorithm, mini_batch_size=100)
    refused("mini_batch_size is 101, more than the 100 training samples", algorithm, mini_batch_size=101)
    refused("mini_batch_size is 60 on each of 2 instances", algorithm, mini_batch_size=60, count=2)


def test_the_largest_mini_batch_that_may_be_tried_counts() -> None:
    tuning = {"ranges": {"mini_batch_size": {"min": 8, "max": 64}}}
    checked(tuning=tuning)
    refused("mini_batch_size is 64, more than the 50", tuning=tuning, prepared=Prepared(2, 50, 42))


def test_every_gpu_gets_a_picture() -> None:
    checked(instance="ml.p3.16xlarge", mini_batch_size=8)
    refused("ml.p3.16xlarge divides it among 8 GPUs", instance="ml.p3.16xlarge", mini_batch_size=7)
    checked(DETECTOR, instance="ml.p3.16xlarge", mini_batch_size=7)


@pytest.mark.parametrize(("network", "most"), [("resnet-50", 32), ("vgg-16", 64)])
def test_a_p3_holds_what_the_documentation_says(network: str, most: int) -> None:
    checked(instance="ml.p3.2xlarge", base_network=network, mini_batch_size=most)
    refused(
        f"{most} is the most that ml.p3.2xlarge can hold",
        instance="ml.p3.2xlarge",
        base_network=network,
        mini_batch_size=most + 1,
    )


@pytest.mark.parametrize("instance", ["ml.m5.xlarge", "ml.c5.xlarge", "ml.g6.xlarge"])
def test_the_built_in_needs_one_of_its_gpus(instance: str) -> None:
    refused(f"{instance} is none of them", instance=instance)
    checked(DETECTOR, instance=instance)


def test_the_fullest_pictures_boxes_fit_the_label_width() -> None:
    checked(prepared=Prepared(2, 100, 42, max_boxes=8))
    refused(
        "label_width is 42, but the fullest picture has 9 boxes, which take 47",
        prepared=Prepared(2, 100, 42, max_boxes=9),
    )


def test_several_instances_agree_after_each_batch() -> None:
    assert "kv_store" not in checked()
    assert checked(count=2)["kv_store"] == "dist_sync"
    assert checked(count=2, kv_store="dist_async")["kv_store"] == "dist_async"
    assert checked(count=2, prepared=Prepared(2, 20, 42))["mini_batch_size"] == "10"


def test_the_record_file_has_as_many_records_as_the_report_says() -> None:
    store = MemoryStore("bucket")
    check_records(store, RUN, PREPARED)  # prepared before there were indexes
    store.put(RUN.key("prepared", "train", "train.idx"), b"".join(b"%d\t0\n" % line for line in range(100)))
    check_records(store, RUN, PREPARED)
    with pytest.raises(InvalidInputError, match=r"reports 99 training samples, but train\.rec holds 100 records"):
        check_records(store, RUN, Prepared(2, 99, 42))
    check_records(store, RUN, Prepared(2, 99, 42, output="image"))
