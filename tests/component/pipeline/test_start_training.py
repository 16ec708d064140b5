"""How the prepared data reach the Training job: channels as the built-in algorithm's table of formats has them."""

import json
from typing import Any

import pytest
from road import PLAN_DEFAULTS, Road, state

from channels import input_data_config
from dropspot.errors import InvalidInputError
from dropspot.plan import BUILT_IN, DETECTOR, PlanDefaults, TrainingPlan
from dropspot.preparation_plan import OUTPUTS
from dropspot.runs import Run
from dropspot.testing import assert_valid_request

INPUT_MODES = ("File", "FastFile", "Pipe")
RUN = Run("dropspot", "pets-0123456789")


def plan(algorithm: str = BUILT_IN, **stated: Any) -> TrainingPlan:
    return TrainingPlan.parse(json.dumps(stated).encode(), PlanDefaults.from_document(PLAN_DEFAULTS), algorithm)


def request(written: str | None = None, **stated: Any) -> tuple[Road, Run]:
    """A run of the built-in whose preparation has ended, `written` being what it says it wrote."""
    road = Road(algorithm=BUILT_IN)
    road.upload(**{"images.tar.gz": b"a", "training.json": json.dumps(stated).encode()})
    road.settle()
    [run] = road.runs
    road.prepare(run)
    report = road.store.json(run.key("report", "report.json"))
    output = written or stated.get("output")
    road.store.put_json(run.key("report", "report.json"), report | ({"output": output} if output else {}))
    road.command("start_training", run, "prep")
    return road, run


def channels_of(road: Road, run: Run) -> dict[str, dict[str, Any]]:
    sent = road.world.jobs.requests[run.training_job]
    assert_valid_request("sagemaker", "CreateTrainingJob", sent)
    channels = {channel["ChannelName"]: channel for channel in sent["InputDataConfig"]}
    assert len(channels) == len(sent["InputDataConfig"])
    assert {c["InputMode"] for c in channels.values()} == {sent["AlgorithmSpecification"]["TrainingInputMode"]}
    assert {c["CompressionType"] for c in channels.values()} == {"None"}
    return channels


def source(channel: dict[str, Any]) -> dict[str, Any]:
    return channel["DataSource"]["S3DataSource"]


@pytest.mark.parametrize("input_mode", INPUT_MODES)
def test_recordio_is_one_file_a_channel_in_any_mode(input_mode: str) -> None:
    road, run = request(output="recordio", input_mode=input_mode)
    channels = channels_of(road, run)
    assert set(channels) == {"train", "validation"}
    for name, channel in channels.items():
        assert channel["ContentType"] == "application/x-recordio"
        assert channel["InputMode"] == input_mode
        assert source(channel)["S3DataType"] == "S3Prefix"
        assert source(channel)["S3Uri"] == f"s3://bucket/runs/{run.run_id}/prepared/{name}/{name}.rec"
        assert "RecordWrapperType" not in channel  # it is RecordIO already


def test_images_and_their_annotations_are_four_channels_of_one_content_type() -> None:
    road, run = request(output="image")
    channels = channels_of(road, run)
    assert set(channels) == {"train", "validation", "train_annotation", "validation_annotation"}
    assert {c["ContentType"] for c in channels.values()} == {"image/jpeg"}
    assert {c["InputMode"] for c in channels.values()} == {"File"}
    prefixes = {name: source(channel)["S3Uri"] for name, channel in channels.items()}
    assert prefixes == {name: f"s3://bucket/runs/{run.run_id}/prepared/{name}/" for name in channels}


def test_no_channels_prefix_matches_what_lies_in_another() -> None:
    road, run = request(output="image")
    prefixes = [source(channel)["S3Uri"] for channel in channels_of(road, run).values()]
    assert not [(a, b) for a in prefixes for b in prefixes if a != b and b.startswith(a)]


def test_an_augmented_manifest_is_streamed_as_records_of_picture_then_boxes() -> None:
    road, run = request(output="augmented-manifest", split={"seed": 7})
    channels = channels_of(road, run)
    assert set(channels) == {"train", "validation"}
    for name, channel in channels.items():
        assert channel["ContentType"] == "application/x-recordio"
        assert channel["InputMode"] == "Pipe"
        assert channel["RecordWrapperType"] == "RecordIO"
        assert source(channel) == {
            "S3DataType": "AugmentedManifestFile",
            "S3Uri": f"s3://bucket/runs/{run.run_id}/prepared/{name}/{name}.manifest",
            "S3DataDistributionType": "FullyReplicated",
            "AttributeNames": ["source-ref", "bounding-box"],
        }
    assert channels["train"]["ShuffleConfig"] == {"Seed": 7}  # else every epoch streams in the manifest's order
    assert "ShuffleConfig" not in channels["validation"]


def test_a_report_that_names_no_output_is_one_of_recordio() -> None:
    road, run = request()
    assert {c["ContentType"] for c in channels_of(road, run).values()} == {"application/x-recordio"}


@pytest.mark.parametrize(("asked", "written"), [("image", "recordio"), ("recordio", "augmented-manifest")])
def test_data_written_as_another_output_fail_the_run_instead_of_the_job(asked: str, written: str) -> None:
    road, run = request(written, output=asked)
    assert state(road, run) == "failed"
    assert run.training_job not in road.world.jobs.requests
    message = road.store.json(run.key("failure.json"))["message"]
    assert message.startswith(f"the plan's output is {asked} but preparation wrote {written}")


@pytest.mark.parametrize("algorithm", [BUILT_IN, DETECTOR])
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("input_mode", INPUT_MODES)
def test_the_plan_and_the_channels_agree_on_what_can_be_combined(output: str, input_mode: str, algorithm: str) -> None:
    try:
        stated = plan(algorithm, output=output, input_mode=input_mode)
    except InvalidInputError:
        document = plan(algorithm, output=output).document | {"input_mode": input_mode}
        with pytest.raises(InvalidInputError, match=f"input mode {input_mode} can't carry the output {output}"):
            input_data_config(RUN, "bucket", TrainingPlan.from_document(document), output)
    else:
        assert input_data_config(RUN, "bucket", stated, output)
