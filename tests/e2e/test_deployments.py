"""Deployments under guard: a switch that no client notices, models that can't serve, and the way back.

One stack of its own, whose models are small and whose traffic moves by a canary. The tests go on from each other.
"""

import io
import json
import shutil
import tarfile
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from deployed import Deployed, wait_for

from dropspot_cli import env_file

pytestmark = [pytest.mark.e2e, pytest.mark.full]

Small = Callable[..., Path]
CANARY = {"DeploymentStrategy": "canary", "EndpointInstanceCount": "2", "TrafficStepWaitSeconds": "10"}
DATASET = "guarded"
BETTER = {  # learns something, where two epochs learn next to nothing
    "hyperparameters": {"base_network": "tiny", "image_shape": 128, "epochs": 80},
    "gate": {"min_map50": 0, "max_class_drop": 1},
}


def parameters(**values: str) -> list[str]:
    return [word for name, value in values.items() for word in ("--parameter", f"{name}={value}")]


@pytest.fixture(scope="module")
def guarded() -> Iterator[Deployed]:
    state = Path(tempfile.mkdtemp(prefix="dropspot-e2e-"))
    cloud = Deployed(state)
    try:
        cloud.command("up", *parameters(**CANARY))
        cloud.exports = env_file.read(state / "env")
        yield cloud
    finally:
        cloud.command("down")
        shutil.rmtree(state, ignore_errors=True)


def endpoint(cloud: Deployed) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = cloud.client("sagemaker").describe_endpoint(EndpointName=cloud.outputs["EndpointName"])
    except ClientError:
        return None
    return found


def champion(cloud: Deployed) -> str | None:
    document = cloud.json("endpoint/champion.json")
    return document and str(document["run_id"])


def queue_is_open(cloud: Deployed) -> bool:
    [mapping] = [
        found
        for found in cloud.client("lambda").list_event_source_mappings()["EventSourceMappings"]
        if found["EventSourceArn"].endswith(cloud.outputs["ImageQueueUrl"].rpartition("/")[2])
    ]
    return bool(mapping["State"] in {"Enabled", "Enabling"})


def damage(cloud: Deployed, run_id: str) -> None:
    """Replace the run's model by an empty one, after its evaluation has used it and before its deployment does."""
    wait_for("the evaluation's answers", lambda: cloud.keys(f"runs/{run_id}/evaluation/raw/"), 240)
    [artifact] = [key for key in cloud.keys(f"runs/{run_id}/model/") if key.endswith("model.tar.gz")]
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("nothing"))
    cloud.put(artifact, file.getvalue())


def retrain(cloud: Deployed) -> str:
    """Ask for a retraining and return the id of the new run."""
    number = len(cloud.runs(DATASET))
    cloud.command("retrain", DATASET)
    return cloud.run(DATASET, number)


@contextmanager
def asking(cloud: Deployed, picture: bytes, clients: int = 1) -> Iterator[list[str]]:
    """Ask the endpoint all the time; give the runs that answered, or the errors' codes, in the order of the answers."""
    heard: list[str] = []
    done = threading.Event()

    def ask() -> None:
        runtime = cloud.client("sagemaker-runtime")
        while not done.is_set():
            try:
                answer = runtime.invoke_endpoint(
                    EndpointName=cloud.outputs["EndpointName"], ContentType="application/x-image", Body=picture
                )
                json.loads(answer["Body"].read())
                heard.append(answer["CustomAttributes"].removeprefix("run_id="))
            except ClientError as error:
                heard.append(error.response["Error"]["Code"])
            time.sleep(0.05)

    with ThreadPoolExecutor(clients) as pool:
        asked = [pool.submit(ask) for _ in range(clients)]
        try:
            yield heard
        finally:
            done.set()
    for future in asked:
        future.result()


def test_a_first_model_that_does_not_start_leaves_no_endpoint_and_the_next_one_makes_it(
    guarded: Deployed, small: Small
) -> None:
    guarded.upload(small(11), DATASET)
    first = guarded.run(DATASET)
    damage(guarded, first)
    failure = guarded.failure(first)
    assert failure["step"] == "deploy"
    assert "ping health check" in failure["message"]
    wait_for("the failed endpoint to be deleted", lambda: endpoint(guarded) is None)
    assert not queue_is_open(guarded)

    guarded.command("up", *parameters(**CANARY, RollbackErrorPercent="6"))  # a stack update while the queue is closed
    time.sleep(65)  # and a pass of reconcile_endpoint
    assert not queue_is_open(guarded)

    second = retrain(guarded)
    assert guarded.ended(second) == "deployed", guarded.json(f"runs/{second}/failure.json")
    wait_for(f"{second} to be champion", lambda: champion(guarded) == second)
    wait_for("the image queue to open", lambda: queue_is_open(guarded))


def test_a_better_second_version_replaces_the_model_without_a_failed_invocation(
    guarded: Deployed, small: Small, picture: bytes
) -> None:
    before = champion(guarded)
    guarded.put("images/waiting.jpg", picture)
    guarded.document("images/waiting.jpg")
    guarded.upload(small(12, BETTER), DATASET)
    with asking(guarded, picture, clients=2) as heard:
        after = guarded.run(DATASET, 2)
        assert guarded.ended(after, seconds=400) == "deployed", guarded.json(f"runs/{after}/failure.json")
        wait_for("answers of the new model alone", lambda: set(heard[-20:]) == {after})
    assert set(heard) == {before, after}, Counter(heard)
    verdict = guarded.json(f"runs/{after}/verdict.json")
    assert verdict is not None
    assert (verdict["champion"]["run_id"], verdict["champion"]["basis"]) == (before, "evaluated_again")
    assert verdict["map50"] > verdict["champion"]["map50"]  # on the same held-out pictures
    asked = guarded.json(f"runs/{after}/deploy.json")
    assert asked is not None
    routing = asked["request"]["DeploymentConfig"]["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
    assert routing["Type"] == "CANARY"
    share = heard[heard.index(after) :]
    assert before in share  # while the canary baked, both answered


def test_a_successor_that_does_not_start_goes_back_by_itself(guarded: Deployed, picture: bytes) -> None:
    before = champion(guarded)
    with asking(guarded, picture) as heard:
        successor = retrain(guarded)
        damage(guarded, successor)
        failure = guarded.failure(successor, seconds=240)
    assert failure["step"] == "deploy"
    assert set(heard) == {before}
    assert champion(guarded) == before
    found = endpoint(guarded)
    assert found is not None
    assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("InService", f"dropspot-{before}-config")
    assert queue_is_open(guarded)


def test_a_rollback_restores_the_former_model(guarded: Deployed, picture: bytes) -> None:
    document = guarded.json("endpoint/champion.json")
    assert document is not None
    former = document["before"][0]
    with asking(guarded, picture) as heard:
        told = guarded.command("rollback")
        assert former in told.stdout
        wait_for(f"{former} to be champion", lambda: champion(guarded) == former)
        wait_for("answers of the former model alone", lambda: set(heard[-20:]) == {former})
    assert set(heard) == {document["run_id"], former}


def test_a_model_whose_alarm_fires_during_the_canary_goes_back_by_itself(guarded: Deployed, picture: bytes) -> None:
    before = champion(guarded)
    assert queue_is_open(guarded)
    # A stack update while the queue is open; from now on a model must answer faster than any can.
    slow = CANARY | {"TrafficStepWaitSeconds": "150", "RollbackLatencyMilliseconds": "1"}
    guarded.command("up", *parameters(**slow))
    wait_for("the image queue to be open again", lambda: queue_is_open(guarded), 65)

    with asking(guarded, picture) as heard:
        successor = retrain(guarded)
        failure = guarded.failure(successor, seconds=400)
    assert failure["step"] == "deploy"
    assert f"dropspot-{successor}-latency" in failure["message"]
    assert successor in heard  # the canary did answer
    assert set(heard) == {before, successor}
    assert champion(guarded) == before
    found = endpoint(guarded)
    assert found is not None
    assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("InService", f"dropspot-{before}-config")
    assert queue_is_open(guarded)
