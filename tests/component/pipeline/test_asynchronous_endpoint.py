"""The endpoint in asynchronous mode: what its config says, and how it scales."""

from dataclasses import replace
from uuid import uuid4

import pytest
from road import Road, begun, state

from dropspot.awaiting import ANSWERS
from dropspot.errors import InvalidInputError
from dropspot.ports import Request
from dropspot.testing import MemoryScaling

TOPIC = "arn:aws:sns:us-east-1:000000000000:inference"


@pytest.fixture
def road() -> Road:
    return Road(inference_topic=TOPIC, async_idle_seconds=600)


def test_an_asynchronous_config_sends_answers_to_the_run_s_own_place_and_tells_of_them(road: Road) -> None:
    run = begun(road)
    road.deploy(run)
    config = road.world.hosting.configs[run.endpoint_config]
    assert config["AsyncInferenceConfig"] == {
        "OutputConfig": {
            "S3OutputPath": f"s3://bucket/{ANSWERS}{run.run_id}",
            "NotificationConfig": {"SuccessTopic": TOPIC, "ErrorTopic": TOPIC},
        }
    }
    # An endpoint that may be asleep is not asked before its model is champion.
    assert road.world.inference.images == []
    assert road.store.json("endpoint/champion.json")["smoke_test"] == {"pictures": 0}


def test_a_model_in_service_scales_to_zero_and_wakes_up(road: Road) -> None:
    road.deploy(begun(road))
    assert road.world.scaling.targets == {}
    road.reconcile()
    [(resource, target)] = road.world.scaling.targets.items()
    assert (target["MinCapacity"], target["MaxCapacity"]) == (0, 1)
    assert {name for _, name in road.world.scaling.policies} == {"dropspot-endpoint-wake", "dropspot-endpoint-backlog"}
    tracking = road.world.scaling.policies[resource, "dropspot-endpoint-backlog"]
    assert tracking["TargetTrackingScalingPolicyConfiguration"]["ScaleInCooldown"] == 600
    alarm = road.world.alarms.requests["dropspot-endpoint-asleep"]
    assert alarm["MetricName"] == "HasBacklogWithoutCapacity"
    assert alarm["AlarmActions"][0].endswith("dropspot-endpoint-wake")
    before = (dict(road.world.scaling.policies), dict(road.world.alarms.requests))
    road.reconcile()
    assert (road.world.scaling.policies, road.world.alarms.requests) == before


def test_a_variant_is_let_go_before_the_endpoint_changes_and_scales_again_after(road: Road) -> None:
    road.deploy(begun(road))
    road.reconcile()
    road.world.clock.advance(100)
    road.retrain("event-1")
    second = road.runs[1]
    road.judge(second)
    road.reconcile()
    assert road.world.hosting.endpoints["dropspot-endpoint"].status == "Updating"
    assert road.world.scaling.targets == {}
    road.come_up()
    for _ in range(2):
        road.reconcile()
    assert road.store.json("endpoint/champion.json")["run_id"] == second.run_id
    assert len(road.world.scaling.targets) == 1


class Refusing(MemoryScaling):
    """A service that lets nobody register."""

    def register(self, target: Request) -> None:
        details = f"Service: AmazonCloudWatch; Status Code: 400; Error Code: AccessDenied; Request ID: {uuid4()}"
        raise InvalidInputError(f"Application Auto Scaling refused to register: no such role ({details}; Proxy: null)")


def test_scaling_that_is_refused_is_said_and_tried_again(road: Road, capsys: pytest.CaptureFixture[str]) -> None:
    run = begun(road)
    road.deploy(run)
    allowed, road.world = road.world, replace(road.world, scaling=Refusing())
    for _ in range(2):
        road.reconcile()
    assert '"ChangesRefused"' in capsys.readouterr().out
    [told] = road.world.bus.of("Endpoint Stuck")
    assert "Application Auto Scaling refused to register: no such role (Service" in told["notice"]
    assert road.store.head(run.key("failure.json")) is None
    road.world = allowed
    road.reconcile()
    assert len(road.world.scaling.targets) == 1


@pytest.mark.parametrize("topic", ["", TOPIC], ids=["realtime", "async"])
def test_an_endpoint_of_the_other_mode_is_made_anew_while_images_wait(topic: str) -> None:
    road = Road(inference_topic=topic)
    run = begun(road)
    road.deploy(run)
    road.reconcile()
    road.changes = {"inference_topic": "" if topic else TOPIC}
    road.reconcile()
    hosting = road.world.hosting
    assert hosting.endpoints["dropspot-endpoint"].status == "InService"  # it may be answering still
    assert not road.world.intake.is_open("mapping")
    road.reconcile()
    assert hosting.endpoints == {}
    assert road.world.scaling.targets == {}
    assert "dropspot-endpoint-asleep" not in road.world.alarms.requests
    road.reconcile()
    road.come_up()
    road.reconcile()
    assert hosting.endpoints["dropspot-endpoint"].is_asynchronous == (not topic)
    assert road.world.intake.is_open("mapping")
    assert state(road, run) == "deployed"
    assert not road.world.bus.of("Run Failed")


def test_an_endpoint_that_failed_leaves_nothing_of_its_scaling_in_the_other_mode() -> None:
    road = Road(inference_topic=TOPIC)
    road.deploy(begun(road))
    road.reconcile()
    assert road.world.scaling.targets
    road.changes = {}
    road.come_up("Failed", reason="no capacity")
    road.reconcile()
    assert road.world.hosting.endpoints == {}
    assert road.world.scaling.targets == {}
    assert road.world.alarms.requests == {}


def test_a_deletion_that_is_refused_is_told_of_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    road = Road(inference_topic=TOPIC)
    road.deploy(begun(road))
    road.changes = {}

    def refused(name: str) -> None:
        raise InvalidInputError(f"SageMaker refused delete_endpoint: Cannot delete in-progress endpoint {name}")

    with monkeypatch.context() as patch:
        patch.setattr(road.world.hosting, "delete_endpoint", refused)
        for _ in range(3):
            road.reconcile()
    [told] = road.world.bus.of("Endpoint Stuck")
    assert "refused delete_endpoint" in told["notice"]
    road.reconcile()
    assert road.world.hosting.endpoints == {}


def test_a_candidate_takes_the_place_of_a_champion_of_the_other_mode() -> None:
    road = Road()
    road.deploy(begun(road))
    road.world.clock.advance(100)
    road.retrain("event-1")
    second = road.runs[1]
    road.judge(second)
    road.reconcile()
    road.come_up()
    road.changes = {"inference_topic": TOPIC}  # before the candidate has proven itself
    for _ in range(3):
        road.reconcile()
    road.come_up()
    road.reconcile()
    assert road.store.json("endpoint/champion.json")["run_id"] == second.run_id
    assert road.world.hosting.endpoints["dropspot-endpoint"].is_asynchronous


def test_an_endpoint_that_answers_at_once_never_scales() -> None:
    road = Road()
    run = begun(road)
    road.deploy(run)
    road.reconcile()
    assert road.world.scaling.targets == {}
    assert "AsyncInferenceConfig" not in road.world.hosting.configs[run.endpoint_config]
