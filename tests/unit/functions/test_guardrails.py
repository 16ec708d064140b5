"""How a model is replaced: a combination of the parameters is refused in a sentence, or a request SageMaker takes."""

from itertools import product
from typing import Any

import pytest

from deployment import says
from dropspot.errors import InvalidInputError
from dropspot.runs import Run
from dropspot.service_models import assert_valid_request
from dropspot.serving_requests import endpoint_config_request, model_request
from dropspot_local.sagemaker.guardrails import policy
from guardrails import Guardrails, alarm_names, check_key

RUN = Run("dropspot", "pets-0123456789")
DEFAULTS: dict[str, Any] = {
    "strategy": "all-at-once",
    "step": 50,
    "step_unit": "percent",
    "wait_seconds": 300,
    "termination_wait_seconds": 300,
    "timeout_seconds": 3600,
    "error_percent": 5.0,
    "latency_milliseconds": 10_000,
}


def objection(instances: int = 4, **changes: Any) -> str | None:
    return Guardrails(**(DEFAULTS | changes)).objection(instances)


@pytest.mark.parametrize(
    ("changes", "instances", "told"),
    [
        ({"strategy": "canary"}, 1, "canary needs two instances or more, and EndpointInstanceCount is 1"),
        ({"strategy": "linear"}, 1, "linear needs two instances or more, and EndpointInstanceCount is 1"),
        ({"strategy": "canary", "step": 51}, 4, "a step of 51 % is not at most 50 % of 4 instances"),
        ({"strategy": "linear", "step": 9}, 20, "a step of 9 % is not 10 to 50 % of 20 instances"),
        ({"strategy": "canary", "step": 3, "step_unit": "instances"}, 5, "a step of 3 instances is not at most 50 %"),
        ({"strategy": "linear", "step": 1, "step_unit": "instances"}, 11, "a step of 1 instances is not 10 to 50 %"),
        ({"strategy": "canary", "step": 50}, 3, "a step of 50 % moves 2 of 3 instances, more than half"),
        ({"strategy": "canary", "step": 0}, 4, "a step of 0 % is not at most 50 %"),
        ({"strategy": "rolling"}, 4, "DeploymentStrategy 'rolling' is none of all-at-once, canary, linear"),
        ({"step_unit": "fleets"}, 4, "TrafficStepUnit 'fleets' is none of percent, instances"),
        ({"wait_seconds": 3601}, 4, "TrafficStepWaitSeconds is 3601, outside 0 to 3600"),
        ({"termination_wait_seconds": -1}, 4, "TerminationWaitSeconds is -1"),
        ({"timeout_seconds": 599}, 4, "DeploymentTimeoutSeconds is 599, outside 600 to 28800"),
        ({"timeout_seconds": 28_801}, 4, "DeploymentTimeoutSeconds is 28801"),
        ({"strategy": "linear", "step": 10, "wait_seconds": 400}, 10, "a deployment's waits take 3900 s"),
        ({"strategy": "canary", "wait_seconds": 3300}, 4, "a deployment's waits take 3600 s"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(changes: dict[str, Any], instances: int, told: str) -> None:
    assert told in (objection(instances, **changes) or "")
    with pytest.raises(InvalidInputError, match="the stack's parameters can't be"):
        Guardrails.from_document(DEFAULTS | changes, instances)


@pytest.mark.parametrize(
    ("changes", "instances"),
    [
        ({}, 1),
        ({"wait_seconds": 3600, "timeout_seconds": 600}, 1),  # all at once waits for no step
        ({"strategy": "canary"}, 2),
        ({"strategy": "canary", "step": 1, "step_unit": "instances"}, 2),
        ({"strategy": "canary", "step": 1, "step_unit": "instances"}, 99),
        ({"strategy": "linear", "step": 10}, 10),
        ({"strategy": "linear", "step": 1, "step_unit": "instances"}, 10),
        ({"strategy": "canary", "step": 33}, 3),
        # the example of SageMaker's documentation
        ({"strategy": "canary", "step": 30, "wait_seconds": 600, "termination_wait_seconds": 600,
          "timeout_seconds": 1800}, 4),
    ],
)  # fmt: skip
def test_what_can_be_is_not_refused(changes: dict[str, Any], instances: int) -> None:
    assert objection(instances, **changes) is None


def test_every_combination_is_refused_before_the_call_or_a_valid_request() -> None:
    refused = sent = 0
    for strategy, step, unit, wait, termination, timeout, instances in product(
        ("all-at-once", "canary", "linear"), (0, 1, 2, 9, 10, 33, 50, 51), ("percent", "instances"),
        (0, 300, 3600, 3601), (0, 3600), (599, 600, 3600, 28_800), (1, 2, 3, 10, 99),
    ):  # fmt: skip
        changes = {"strategy": strategy, "step": step, "step_unit": unit, "wait_seconds": wait}
        changes |= {"termination_wait_seconds": termination, "timeout_seconds": timeout}
        guardrails = Guardrails(**(DEFAULTS | changes))
        if guardrails.objection(instances):
            refused += 1
            continue
        policy(guardrails.deployment_config(RUN), instances)  # nor does the embedded SageMaker refuse it
        sent += 1
        update = {"EndpointName": "dropspot-endpoint", "EndpointConfigName": RUN.endpoint_config}
        config = guardrails.deployment_config(RUN)
        assert_valid_request("sagemaker", "UpdateEndpoint", update | {"DeploymentConfig": config})
        routing = config["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
        assert {"CanarySize", "LinearStepSize"} & routing.keys() == (
            {"CANARY": {"CanarySize"}, "LINEAR": {"LinearStepSize"}}.get(routing["Type"], set())
        )
    assert refused > 1000
    assert sent > 1000


def test_the_alarms_watch_the_new_fleet_alone_and_miss_nothing_where_nobody_asks() -> None:
    guardrails = Guardrails(**DEFAULTS)
    errors, latency = guardrails.alarm_requests(RUN, "dropspot-endpoint", "classes-0123456789ab")
    for alarm in (errors, latency):
        assert_valid_request("cloudwatch", "PutMetricAlarm", alarm)
        assert {d["Name"]: d["Value"] for d in alarm["Dimensions"]} == {
            "EndpointName": "dropspot-endpoint",
            "VariantName": "classes-0123456789ab",
            "EndpointConfigName": RUN.endpoint_config,
        }
        assert alarm["TreatMissingData"] == "notBreaching"
    assert (errors["MetricName"], errors["Threshold"]) == ("Invocation5XXErrors", 0.05)
    assert (latency["MetricName"], latency["Threshold"]) == ("ModelLatency", 10_000_000)  # microseconds
    named = guardrails.deployment_config(RUN)["AutoRollbackConfiguration"]["Alarms"]
    assert [alarm["AlarmName"] for alarm in named] == [errors["AlarmName"], latency["AlarmName"]] == [*alarm_names(RUN)]


TOPIC = "arn:aws:sns:eu-west-1:111122223333:inference"
KEY = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"


class Settings:
    """Every combination of what the requests for a model and a config depend on."""

    bucket_name = "bucket"
    training_image = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/detector:1"
    sagemaker_role_arn = "arn:aws:iam::111122223333:role/sagemaker"

    def __init__(self, instance: str, count: int, key: str, subnets: tuple[str, ...], topic: str = "") -> None:
        self.inference_topic = topic
        self.endpoint_instance_type, self.endpoint_instance_count, self.endpoint_kms_key = instance, count, key
        self.model_subnets = subnets
        self.model_security_groups = ("sg-0a", "sg-0b") if subnets else ()


@pytest.mark.parametrize("instance", ["ml.m5.large", "ml.c5.9xlarge", "ml.g4dn.xlarge", "ml.p3.2xlarge"])
@pytest.mark.parametrize("count", [1, 2, 99])
@pytest.mark.parametrize("key", ["", KEY])
@pytest.mark.parametrize("subnets", [(), ("subnet-0a",), tuple(f"subnet-{n:x}" for n in range(16))])
@pytest.mark.parametrize("topic", ["", TOPIC])
@pytest.mark.parametrize("run", [RUN, Run("abcdefghij123456", f"{'a' * 24}-0123456789")])
def test_every_model_and_config_is_a_valid_request(
    instance: str, count: int, key: str, subnets: tuple[str, ...], topic: str, run: Run
) -> None:
    settings = Settings(instance, count, key, subnets, topic)
    model = model_request(run, "pets", "s3://bucket/model.tar.gz", settings)
    assert_valid_request("sagemaker", "CreateModel", model)
    assert ("VpcConfig" in model) is bool(subnets)
    assert model["PrimaryContainer"]["Environment"] == {"DROPSPOT_RUN_ID": run.run_id}
    config = endpoint_config_request(run, "pets", ["cat", "dog"], settings)
    assert_valid_request("sagemaker", "CreateEndpointConfig", config)
    assert config.get("KmsKeyId", "") == key
    assert ("AsyncInferenceConfig" in config) is bool(topic)
    create = {"EndpointName": f"{run.app}-endpoint", "EndpointConfigName": run.endpoint_config}
    assert_valid_request("sagemaker", "CreateEndpoint", create | {"Tags": config["Tags"]})
    assert says(config, config)


def test_a_config_of_other_parameters_is_another_config() -> None:
    def config(*arguments: Any) -> dict[str, Any]:
        return endpoint_config_request(RUN, "pets", ["cat"], Settings(*arguments))

    present = config("ml.m5.large", 1, "", ())
    assert not says(present, config("ml.m5.large", 2, "", ()))
    assert not says(present, config("ml.m5.xlarge", 1, "", ()))
    assert not says(present, config("ml.m5.large", 1, KEY, ()))
    described = {**present, "ProductionVariants": [{**present["ProductionVariants"][0], "VolumeSizeInGB": 30}]}
    assert says(described, present)


OWN_DISKS = (
    "c5d c6gd c6id c8gd d3 d3en dl1 g4ad g4dn g5 g6 g6e gr6 i3 i3en i4i i7ie im4gn is4gen m5ad m5dn m6gd m6id m6idn "
    "m7gd p3dn p4d p4de p5 p5en p6-b200 r5d r6id r6idn r7gd trn1 trn1n trn2 x2idn x2iedn z1d"
)
NO_DISKS = "c5 c5n c6i c7g c7i g5g inf1 inf2 m4 m5 m5n m6a m6g m6i m7i m7i-flex p2 p3 r5 r5b r6i t2 t3 x2iezn"


@pytest.mark.parametrize("instance", [f"ml.{family}.xlarge" for family in OWN_DISKS.split()])
def test_a_key_for_instances_that_encrypt_their_own_disks_is_refused(instance: str) -> None:
    with pytest.raises(InvalidInputError, match="encrypts its own disks"):
        check_key(KEY, instance)
    check_key("", instance)


@pytest.mark.parametrize("instance", [f"ml.{family}.xlarge" for family in NO_DISKS.split()])
def test_other_instances_take_a_key(instance: str) -> None:
    check_key(KEY, instance)
