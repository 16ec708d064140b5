"""Deployment guardrails: traffic that moves step by step, and goes back when an alarm says so.

Cases name the page of the SageMaker Developer Guide or API Reference whose behaviour they copy.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from botocore.exceptions import ClientError

NAMESPACE = "AWS/SageMaker"


def routing(kind: str, **more: object) -> dict[str, object]:
    return {
        "BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": {"Type": kind, "WaitIntervalInSeconds": 2, **more}}
    }


def canary(percent: int = 25, wait: int = 2) -> dict[str, object]:
    size = {"Type": "CAPACITY_PERCENT", "Value": percent}
    return routing("CANARY", CanarySize=size, WaitIntervalInSeconds=wait)


def served_by(aws, **environment: str) -> str:
    """A configuration of four instances."""
    model = aws.model(aws.name("model"), environment=environment)
    return str(aws.config(aws.name("config"), model, InitialInstanceCount=4, VariantName="AllTraffic"))


@pytest.fixture
def old(aws) -> Iterator[tuple[str, str]]:
    """An endpoint in service, and the name of its configuration."""
    name, config = aws.name("endpoint"), served_by(aws, NAME="old")
    assert aws.endpoint(name, config)["EndpointStatus"] == "InService"
    yield name, config
    aws.at_rest(name)
    aws["sagemaker"].delete_endpoint(EndpointName=name)


@contextmanager
def asking(aws, endpoint: str) -> Iterator[list[tuple[float, str]]]:
    """A client that invokes throughout; what it hears, with the time."""
    heard: list[tuple[float, str]] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            heard.append((time.monotonic(), aws.ask(endpoint)["said"]["name"]))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield heard
    finally:
        done.set()
        for thread in threads:
            thread.join()


def alarm(aws, metric: str, endpoint: str, config: str, **more: object) -> str:
    """An alarm on the new fleet, as the guide's example has it."""
    name = aws.name("alarm")
    variant = aws["sagemaker"].describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"][0]
    dimensions = {"EndpointName": endpoint, "VariantName": variant["VariantName"], "EndpointConfigName": config}
    request = {
        "AlarmName": name,
        "Namespace": NAMESPACE,
        "MetricName": metric,
        "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
        "Statistic": "Average",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 0.5,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
    }
    aws["cloudwatch"].put_metric_alarm(**(request | more))
    return name


def guarded(deployment: dict[str, object], *alarms: str) -> dict[str, object]:
    return deployment | {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in alarms]}}


def stages(events, name: str) -> list[tuple[str, str]]:
    kind = "SageMaker Endpoint Deployment State Change"
    found = [event["detail"] for event in events() if event["detail-type"] == kind]
    statuses = [
        detail["PendingDeploymentSummary"]["ProductionVariants"][0]["VariantStatus"][0]
        for detail in found
        if detail["EndpointName"] == name
    ]
    return [(status["Status"], status["StatusMessage"]) for status in statuses]


def test_a_canary_takes_its_share_and_then_everything_without_a_failed_call(aws, old, events):
    """Use canary traffic shifting: a portion of the traffic, the baking period, then the rest."""
    name, before = old
    new = served_by(aws, NAME="new")
    with asking(aws, name) as heard:
        aws["sagemaker"].update_endpoint(EndpointName=name, EndpointConfigName=new, DeploymentConfig=canary(wait=4))
        during: list[tuple[float, str]] = []
        while (described := aws["sagemaker"].describe_endpoint(EndpointName=name))["EndpointStatus"] == "Updating":
            pending = described["PendingDeploymentSummary"]["ProductionVariants"][0]
            assert described["EndpointConfigName"] == before
            if pending["VariantStatus"][0]["Status"] == "Baking":
                during.append((time.monotonic(), "baking"))
            time.sleep(0.05)
    assert described["EndpointConfigName"] == new
    assert described["LastDeploymentConfig"] == canary(wait=4)
    assert "PendingDeploymentSummary" not in described
    first, last = during[0][0] + 0.2, during[-1][0] - 0.2
    counts = Counter(who for at, who in heard if first < at < last)
    total = sum(counts.values())
    assert total > 100
    # 25 % of them, within four standard deviations of a fair draw
    assert abs(counts["new"] / total - 0.25) < 4 * (0.25 * 0.75 / total) ** 0.5
    assert heard[-1][1] == "new"
    assert stages(events, name) == [
        ("Creating", "Launching 4 instance(s)."),
        ("ActivatingTraffic", "Activating traffic on canary capacity of 1 instance(s)."),
        (
            "Baking",
            "Baking for 4 seconds (WaitIntervalInSeconds) with traffic enabled on canary capacity of 1 instance(s).",
        ),
        ("ActivatingTraffic", "Activating traffic on full capacity of 4 instance(s)."),
    ]


def test_linear_traffic_moves_in_equal_steps(aws, old, events):
    """Use linear traffic shifting: n equal steps, a baking period after each."""
    name, _ = old
    size = {"Type": "INSTANCE_COUNT", "Value": 2}
    deployment = routing("LINEAR", LinearStepSize=size, WaitIntervalInSeconds=1)
    deployment["BlueGreenUpdatePolicy"]["TerminationWaitInSeconds"] = 1
    aws["sagemaker"].update_endpoint(
        EndpointName=name, EndpointConfigName=served_by(aws, NAME="new"), DeploymentConfig=deployment
    )
    assert aws.at_rest(name)["EndpointStatus"] == "InService"
    assert [message for status, message in stages(events, name) if status == "Baking"] == [
        "Baking for 1 seconds (WaitIntervalInSeconds) with traffic enabled on partial capacity of 2 instance(s).",
        "Baking for 1 seconds (TerminationWaitInSeconds) with traffic enabled on full capacity of 4 instance(s).",
    ]


def test_a_rolling_update_moves_in_batches(aws, old, events):
    """Use rolling deployments: batches of MaximumBatchSize, each baked for WaitIntervalInSeconds."""
    name, _ = old
    policy = {"MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 50}, "WaitIntervalInSeconds": 1}
    aws["sagemaker"].update_endpoint(
        EndpointName=name,
        EndpointConfigName=served_by(aws, NAME="new"),
        DeploymentConfig={"RollingUpdatePolicy": policy},
    )
    assert aws.at_rest(name)["EndpointStatus"] == "InService"
    assert [status for status, _ in stages(events, name)] == [
        "Creating", "ActivatingTraffic", "Baking", "ActivatingTraffic", "Baking",
    ]  # fmt: skip
    assert aws.ask(name)["said"]["name"] == "new"


def test_an_alarm_during_the_canary_brings_the_old_fleet_back(aws, old, events):
    """Auto-Rollback Configuration and Monitoring: a tripped alarm starts a complete rollback to the old endpoint."""
    name, before = old
    new = served_by(aws, NAME="new", REFUSE="503")
    watched = alarm(aws, "Invocation5XXErrors", name, new)
    aws["sagemaker"].update_endpoint(
        EndpointName=name, EndpointConfigName=new, DeploymentConfig=guarded(canary(50, wait=60), watched)
    )
    outcomes: Counter[str] = Counter()
    for _ in range(3000):
        try:
            outcomes[aws.ask(name)["said"]["name"]] += 1
        except ClientError as error:
            outcomes[str(error.response["OriginalStatusCode"])] += 1
        if aws["sagemaker"].describe_endpoint(EndpointName=name)["EndpointStatus"] == "InService":
            break
    endpoint = aws.at_rest(name)
    assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("InService", before)
    assert watched in endpoint["FailureReason"]
    assert outcomes["503"] > 0
    kind = "SageMaker Endpoint State Change"
    statuses = [event["detail"]["EndpointStatus"] for event in events() if event["detail-type"] == kind]
    assert statuses[-3:] == ["UPDATING", "ROLLING_BACK", "IN_SERVICE"]
    assert {aws.ask(name)["said"]["name"] for _ in range(20)} == {"old"}


def test_an_alarm_on_other_dimensions_does_not_trip(aws, old):
    """Auto-Rollback Configuration: an alarm with EndpointConfigName watches the new fleet alone."""
    name, before = old
    new = served_by(aws, NAME="new")
    watched, other = alarm(aws, "Invocation5XXErrors", name, new), alarm(aws, "Invocation5XXErrors", name, before)
    for _ in range(3):
        with pytest.raises(ClientError):
            aws.ask(name, b"status 500")
    deadline = time.monotonic() + 5
    while state_of(aws, other) != "ALARM" and time.monotonic() < deadline:
        time.sleep(0.1)
    assert (state_of(aws, watched), state_of(aws, other)) == ("OK", "ALARM")
    aws["sagemaker"].update_endpoint(
        EndpointName=name, EndpointConfigName=new, DeploymentConfig=guarded(canary(wait=1), watched)
    )
    assert aws.at_rest(name)["EndpointConfigName"] == new


def state_of(aws, name: str) -> str:
    return str(aws["cloudwatch"].describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["StateValue"])


def test_the_last_bake_can_roll_back_too(aws, old):
    """BlueGreenUpdatePolicy, TerminationWaitInSeconds: the old fleet stays until the wait is over."""
    name, before = old
    new = served_by(aws, NAME="new")
    watched = alarm(aws, "ModelLatency", name, new, Threshold=100_000)
    policy = {
        "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0},
        "TerminationWaitInSeconds": 60,
    }
    aws["sagemaker"].update_endpoint(
        EndpointName=name,
        EndpointConfigName=new,
        DeploymentConfig=guarded({"BlueGreenUpdatePolicy": policy}, watched),
    )
    while aws.ask(name, b"sleep 0.3")["said"]["name"] != "new":
        time.sleep(0.05)
    assert aws.at_rest(name)["EndpointConfigName"] == before


@pytest.mark.parametrize(
    ("deployment", "message"),
    [
        (canary(75), r"CanarySize of 3 instance\(s\) is not possible"),
        (routing("CANARY"), "of type CANARY needs CanarySize"),
        (
            routing("ALL_AT_ONCE", CanarySize={"Type": "INSTANCE_COUNT", "Value": 1}),
            "of type ALL_AT_ONCE has no CanarySize",
        ),
        (
            routing("LINEAR", LinearStepSize={"Type": "CAPACITY_PERCENT", "Value": 5}),
            "between 10% and 50%",
        ),
        (
            {
                "RollingUpdatePolicy": {
                    "MaximumBatchSize": {"Type": "INSTANCE_COUNT", "Value": 3},
                    "WaitIntervalInSeconds": 1,
                }
            },
            "between 5% and 50%",
        ),
        (canary() | {"RollingUpdatePolicy": {"MaximumBatchSize": {"Type": "INSTANCE_COUNT", "Value": 1},
                                             "WaitIntervalInSeconds": 1}}, "Only one of"),
        (
            {
                "BlueGreenUpdatePolicy": {
                    "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0},
                    "TerminationWaitInSeconds": 600,
                    "MaximumExecutionTimeoutInSeconds": 600,
                }
            },
            "must be larger than the total waiting time",
        ),
    ],
)  # fmt: skip
def test_impossible_deployments_are_refused(aws, old, deployment, message):
    """CapacitySize, TrafficRoutingConfig, RollingUpdatePolicy, BlueGreenUpdatePolicy: the ranges of their values."""
    with pytest.raises(ClientError, match=message) as refused:
        aws["sagemaker"].update_endpoint(EndpointName=old[0], EndpointConfigName=old[1], DeploymentConfig=deployment)
    assert refused.value.response["Error"]["Code"] == "ValidationException"


def test_one_instance_has_no_canary(aws):
    """Use canary traffic shifting: the canary is at most half of the new fleet, and at least an instance."""
    name = aws.name("endpoint")
    config = aws.config(aws.name("config"), aws.model(aws.name("model")))
    aws.endpoint(name, config)
    with pytest.raises(ClientError, match=r"CanarySize of 1 instance\(s\) is not possible"):
        aws["sagemaker"].update_endpoint(EndpointName=name, EndpointConfigName=config, DeploymentConfig=canary(10))


def test_variants_of_other_names_have_no_guardrails(aws, old):
    """Exclusions: the new endpoint configuration must have the same variant name as the old one."""
    other = aws.config(aws.name("config"), aws.model(aws.name("model")), InitialInstanceCount=4)
    with pytest.raises(ClientError, match="must have the same variant names"):
        aws["sagemaker"].update_endpoint(EndpointName=old[0], EndpointConfigName=other, DeploymentConfig=canary())
    aws["sagemaker"].update_endpoint(EndpointName=old[0], EndpointConfigName=other)
    assert aws.at_rest(old[0])["EndpointConfigName"] == other


def test_alarms_must_exist(aws, old):
    """Auto-Rollback Configuration: the alarms are a prerequisite; a name that no alarm has would watch nothing."""
    with pytest.raises(ClientError, match="Could not find CloudWatch alarm"):
        aws["sagemaker"].update_endpoint(
            EndpointName=old[0], EndpointConfigName=old[1], DeploymentConfig=guarded(canary(), "no-such-alarm")
        )


def test_the_last_deployment_configuration_can_be_used_again(aws, old):
    """UpdateEndpoint, RetainDeploymentConfig."""
    name, _ = old
    for first in (True, False):
        how = {"DeploymentConfig": canary(wait=1)} if first else {"RetainDeploymentConfig": True}
        aws["sagemaker"].update_endpoint(EndpointName=name, EndpointConfigName=served_by(aws), **how)
        assert aws.at_rest(name)["LastDeploymentConfig"] == canary(wait=1)
    with pytest.raises(ClientError, match="RetainDeploymentConfig can't be true"):
        aws["sagemaker"].update_endpoint(
            EndpointName=name, EndpointConfigName=old[1], DeploymentConfig=canary(), RetainDeploymentConfig=True
        )


def test_variant_properties_are_kept_where_that_is_asked(aws):
    """UpdateEndpoint, RetainAllVariantProperties and ExcludeRetainedVariantProperties."""
    first, second = aws.model(aws.name("model")), aws.model(aws.name("model"))
    name = aws.name("endpoint")
    aws.endpoint(name, aws.config(aws.name("config"), first, second, InitialVariantWeight=3.0, InitialInstanceCount=2))
    new = aws.config(aws.name("config"), first, second)
    aws["sagemaker"].update_endpoint(EndpointName=name, EndpointConfigName=new, RetainAllVariantProperties=True)
    for variant in aws.at_rest(name)["ProductionVariants"]:
        assert (variant["CurrentWeight"], variant["CurrentInstanceCount"]) == (3.0, 2)
    aws["sagemaker"].update_endpoint(
        EndpointName=name,
        EndpointConfigName=new,
        RetainAllVariantProperties=True,
        ExcludeRetainedVariantProperties=[{"VariantPropertyType": "DesiredWeight"}],
    )
    for variant in aws.at_rest(name)["ProductionVariants"]:
        assert (variant["CurrentWeight"], variant["CurrentInstanceCount"]) == (1.0, 2)


def test_invocations_are_counted_by_variant_and_by_configuration(aws, old):
    """Amazon SageMaker endpoint invocation metrics: dimensions, units, and errors as 0 or 1 of each invocation."""
    name, config = old
    for body in (b"status 400", b"status 500"):
        with pytest.raises(ClientError):
            aws.ask(name, body)
    for _ in range(2):
        aws.ask(name)
    variant = aws["sagemaker"].describe_endpoint(EndpointName=name)["ProductionVariants"][0]["VariantName"]
    fleet = {"EndpointName": name, "VariantName": variant}

    def read(metric: str, **more: str) -> dict[str, float]:
        now = time.time()
        answer = aws["cloudwatch"].get_metric_statistics(
            Namespace=NAMESPACE,
            MetricName=metric,
            Dimensions=[{"Name": key, "Value": value} for key, value in {**fleet, **more}.items()],
            StartTime=now - 300,
            EndTime=now + 60,
            Period=3600,
            Statistics=["Sum", "SampleCount", "Average"],
        )
        return dict(answer["Datapoints"][0])

    for more in ({}, {"EndpointConfigName": config}):
        assert read("Invocations", **more)["Sum"] == 4
        assert read("Invocation4XXErrors", **more)["Average"] == 0.25
        assert read("Invocation5XXErrors", **more)["Average"] == 0.25
        assert read("InvocationModelErrors", **more)["Sum"] == 2
        latency = read("ModelLatency", **more)
        assert latency["Unit"] == "Microseconds"
        assert 100 < latency["Average"] < 5_000_000
