"""Channels in Pipe mode, as Channel, ShuffleConfig and the developer guide's page on training information have them."""

from __future__ import annotations

import io
import json
import tarfile

import pytest

from dropspot.recordio import MAGIC
from prep.recordio import read_records

BUCKET = "contract-bucket"
ATTRIBUTES = ["source-ref", "bounding-box"]


def channel(name: str, key: str, **more: object) -> dict[str, object]:
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{key}", "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "InputMode": "Pipe", "DataSource": {"S3DataSource": source}, **more}


def augmented(name: str, key: str, attributes: list[str] | None = None, **more: object) -> dict[str, object]:
    found = channel(name, key, RecordWrapperType="RecordIO", ContentType="application/x-recordio", **more)
    found["DataSource"]["S3DataSource"] |= {
        "S3DataType": "AugmentedManifestFile",
        "AttributeNames": attributes or ATTRIBUTES,
    }
    return found


def put_manifest(aws, *lines: object) -> str:
    key = f"{aws.name('manifests/labels')}.manifest"
    aws.put(key, b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines))
    return key


def put_pictures(aws, count: int) -> tuple[str, list[tuple[bytes, dict[str, object]]]]:
    """A manifest of that many pictures; returns its key, and the pictures with their labels."""
    prefix = aws.name("piped-pictures/set")
    pictures = [(f"picture {number}".encode(), {"annotations": [{"class_id": number}]}) for number in range(count)]
    for number, (picture, _) in enumerate(pictures):
        aws.put(f"{prefix}/{number}.jpg", picture)
    lines = [
        {"source-ref": f"s3://{BUCKET}/{prefix}/{number}.jpg", "bounding-box": label, "bounding-box-metadata": {}}
        for number, (_, label) in enumerate(pictures)
    ]
    return put_manifest(aws, *lines), pictures


def read(aws, *channels: dict[str, object], **orders: list[int]) -> dict[str, bytes]:
    """What came through the pipes, by their names, in a job that completed; `orders` as read_pipes takes them."""
    job = aws.trained(aws.name("train"), InputDataConfig=list(channels), HyperParameters={"pipes": json.dumps(orders)})
    assert job["TrainingJobStatus"] == "Completed", job["FailureReason"]
    body = aws.get(job["ModelArtifacts"]["S3ModelArtifacts"].removeprefix(f"s3://{BUCKET}/"))
    with tarfile.open(fileobj=io.BytesIO(body), mode="r:gz") as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}


def records(tmp_path, stream: bytes) -> list[bytes]:
    path = tmp_path / "stream.rec"
    path.write_bytes(stream)
    return list(read_records(path))


def pairs(tmp_path, stream: bytes) -> list[tuple[bytes, object]]:
    """The pictures and their labels that a stream of both brings."""
    found = records(tmp_path, stream)
    return [(picture, json.loads(label)) for picture, label in zip(found[::2], found[1::2], strict=True)]


def test_the_objects_bytes_come_in_the_keys_order(aws):
    """Channel, InputMode Pipe: the objects below the prefix, one after another."""
    for name, body in (("b.rec", b"second"), ("a.rec", b"first "), ("c/d.rec", b""), ("e.rec", b" last")):
        aws.put(f"piped/train/{name}", body)
    aws.put("piped/validation/only.rec", bytes(range(256)) * 4096)  # more than a pipe holds
    came = read(
        aws,
        channel("train", "piped/train/", ContentType="application/x-recordio"),
        channel("validation", "piped/validation/"),
        validation=[-1],
        train=[-1],
    )
    assert came["train_0"] == b"first second last"
    assert came["validation_0"] == bytes(range(256)) * 4096
    seen = json.loads(came["seen.json"])
    assert seen["files"] == []
    assert seen["channels"]["train"] == {
        "TrainingInputMode": "Pipe",
        "S3DistributionType": "FullyReplicated",
        "RecordWrapperType": "None",
        "ContentType": "application/x-recordio",
    }


def test_the_jobs_input_mode_holds_for_a_channel_that_has_none(aws):
    """Channel, InputMode: optional, TrainingInputMode holds otherwise."""
    aws.put("mixed/train.rec", b"records")
    specification = aws.training_request("any")["AlgorithmSpecification"] | {"TrainingInputMode": "Pipe"}
    piped, staged = channel("train", "mixed/"), channel("validation", "mixed/", InputMode="File")
    del piped["InputMode"]
    job = aws.trained(
        aws.name("train"),
        AlgorithmSpecification=specification,
        InputDataConfig=[piped, staged],
        HyperParameters={"pipes": '{"train": [-1]}'},
    )
    assert job["TrainingJobStatus"] == "Completed"


def test_wrapped_objects_are_one_record_each(aws, tmp_path):
    """Channel, RecordWrapperType RecordIO: each object becomes a record."""
    bodies = [b"abc", b"", b"1234" + MAGIC + b"5678" + MAGIC, b"x" + MAGIC]
    for number, body in enumerate(bodies):
        aws.put(f"wrapped/{number}.jpg", body)
    came = read(aws, channel("train", "wrapped/", RecordWrapperType="RecordIO"), train=[-1])
    assert records(tmp_path, came["train_0"]) == bodies
    assert json.loads(came["seen.json"])["channels"]["train"]["RecordWrapperType"] == "RecordIO"


def test_every_epoch_has_its_pipe_whether_the_one_before_was_read_to_its_end_or_not(aws):
    """How Amazon SageMaker Provides Training Information: one named pipe per epoch, numbered from 0."""
    body = b"0123456789" * 100_000
    aws.put("epochs/train.rec", body)
    came = read(aws, channel("train", "epochs/"), train=[-1, 10, 200_000, -1])
    assert [came[f"train_{epoch}"] for epoch in range(4)] == [body, body[:10], body[:200_000], body]


def test_an_augmented_manifest_brings_the_named_attributes_of_each_line(aws, tmp_path):
    """S3DataSource, AttributeNames: those attributes of every line, in that order."""
    key, pictures = put_pictures(aws, 3)
    came = read(aws, augmented("train", key), train=[-1, -1])
    assert pairs(tmp_path, came["train_0"]) == pictures
    assert came["train_1"] == came["train_0"]


def test_attributes_come_in_the_order_of_their_names_and_as_text(aws, tmp_path):
    """S3DataSource, AttributeNames: the order is the request's."""
    aws.put("one.jpg", b"the picture")
    line = {
        "a": {"k": [1, 2.5]},
        "b": "é text",
        "c": 1,
        "d": [True, None],
        "e-ref": f"s3://{BUCKET}/one.jpg",
        "f": 0.5,
        "g": 9,
    }
    key = put_manifest(aws, b"", line, b"  ")
    came = read(aws, augmented("train", key, ["d", "e-ref", "c", "b", "a", "f"]), train=[-1])
    expected = [b"[true,null]", b"the picture", b"1", "é text".encode(), b'{"k":[1,2.5]}', b"0.5"]
    assert records(tmp_path, came["train_0"]) == expected


def test_without_records_the_attributes_follow_one_another(aws):
    """Channel, RecordWrapperType None: the bytes follow one another."""
    aws.put("bare.jpg", b"picture")
    key = put_manifest(aws, {"source-ref": f"s3://{BUCKET}/bare.jpg", "bounding-box": 1})
    bare = augmented("train", key) | {"RecordWrapperType": "None"}
    assert read(aws, bare, train=[-1])["train_0"] == b"picture1"


def test_a_seed_shuffles_lines_and_keys_anew_for_each_epoch_and_alike_for_each_job(aws, tmp_path):
    """ShuffleConfig, Seed: shuffled at the start of every epoch, the same way for the same seed."""
    key, pictures = put_pictures(aws, 12)
    for number in range(12):
        aws.put(f"shuffled/{number:02}", b"%02d" % number)
    seed = {"ShuffleConfig": {"Seed": 5}}
    channels = [augmented("train", key, **seed), channel("validation", "shuffled/", **seed)]
    first, second = (read(aws, *channels, train=[-1, -1], validation=[-1]) for _ in range(2))
    orders = [pairs(tmp_path, first[f"train_{epoch}"]) for epoch in range(2)]
    assert orders[0] != orders[1]
    assert all(order != pictures for order in orders)
    assert all(sorted(order, key=str) == sorted(pictures, key=str) for order in orders)
    assert {name: first[name] for name in ("train_0", "train_1", "validation_0")} == {
        name: second[name] for name in ("train_0", "train_1", "validation_0")
    }
    numbers = [first["validation_0"][at : at + 2] for at in range(0, 24, 2)]
    assert numbers != sorted(numbers)
    assert sorted(numbers) == [b"%02d" % number for number in range(12)]


def failed(aws, *channels: dict[str, object], **changes: object) -> str:
    orders = json.dumps({str(found["ChannelName"]): [-1] for found in channels})
    job = aws.trained(
        aws.name("train"), **({"InputDataConfig": list(channels), "HyperParameters": {"pipes": orders}} | changes)
    )
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Failed", "Failed")
    assert "ModelArtifacts" not in job
    return str(job["FailureReason"])


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ({"source-ref": "s3://contract-bucket/a.jpg"}, "has no attribute bounding-box"),
        ({"source-ref": "a.jpg", "bounding-box": {}}, "has 'a.jpg' as source-ref, which isn't an S3 URI"),
        ([1], "is no JSON object"),
        (b"{broken", "is no JSON: "),
    ],
)
def test_a_line_that_cannot_be_used_fails_the_job_by_its_number(aws, line, problem):
    """Augmented Manifest Files for Training Jobs: each line is a complete JSON object with the attributes."""
    good = {"source-ref": "s3://contract-bucket/a.jpg", "bounding-box": {}}
    key = put_manifest(aws, good, line)
    reason = failed(aws, augmented("train", key))
    expected = f"ClientError: Data download failed:line 2 of the augmented manifest s3://{BUCKET}/{key} {problem}"
    assert reason.startswith(expected)


def test_a_missing_object_fails_the_job_while_the_container_reads(aws):
    """DescribeTrainingJob, FailureReason: ClientError for data that can't be had."""
    key, _ = put_pictures(aws, 1)
    body = aws.get(key)
    aws.put(key, body + b'\n{"source-ref": "s3://contract-bucket/none.jpg", "bounding-box": {}}')
    assert failed(aws, augmented("train", key)) == (
        f"ClientError: Data download failed:NoSuchKey for s3://{BUCKET}/none.jpg"
    )


def test_a_container_that_trains_on_what_came_before_the_error_does_not_complete(aws):
    """DescribeTrainingJob, FailureReason: nor is it waited for, it would sleep for a minute."""
    key = put_manifest(aws, {"source-ref": f"s3://{BUCKET}/none.jpg", "bounding-box": {}})
    hyperparameters = {"pipes": '{"train": [-1]}', "sleep": "60"}
    assert "NoSuchKey" in failed(aws, augmented("train", key), HyperParameters=hyperparameters)


@pytest.mark.parametrize("lines", [(), (b"", b" ")])
def test_an_empty_manifest_fails_the_job(aws, lines):
    """Augmented Manifest Files for Training Jobs: a manifest has lines."""
    key = put_manifest(aws, *lines)
    assert failed(aws, augmented("train", key)).endswith(f"the augmented manifest s3://{BUCKET}/{key} has no line")


def test_nothing_under_the_prefix_fails_the_job(aws):
    """DescribeTrainingJob, FailureReason: no S3 objects under the prefix."""
    assert "No S3 objects found under S3 URL" in failed(aws, channel("train", "nothing/here/"))


def test_a_pipe_that_nobody_reads_holds_nothing_up(aws):
    """How Amazon SageMaker Provides Training Information: a container need not read every channel."""
    aws.put("unread/train.rec")
    job = aws.trained(aws.name("train"), InputDataConfig=[channel("train", "unread/")])
    assert job["TrainingJobStatus"] == "Completed"


@pytest.mark.parametrize("taken", [-1, 10])
def test_the_runtime_limit_ends_a_job_whose_pipe_is_open(aws, taken):
    """StoppingCondition, MaxRuntimeInSeconds: also while a pipe is read."""
    aws.put("limited/train.rec", bytes(1_000_000))
    job = aws.trained(
        aws.name("train"),
        InputDataConfig=[channel("train", "limited/")],
        HyperParameters={"pipes": json.dumps({"train": [taken]}), "sleep": "30"},
        StoppingCondition={"MaxRuntimeInSeconds": 1},
    )
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")


@pytest.mark.parametrize("orders", ['{"train": [10]}', "{}"])
def test_a_stopped_job_ends_while_its_pipe_waits(aws, orders):
    """StopTrainingJob: also while a pipe is read."""
    name = aws.name("train")
    aws.put("stopped/train.rec", bytes(1_000_000))
    aws.train(name, InputDataConfig=[channel("train", "stopped/")], HyperParameters={"pipes": orders, "sleep": "30"})
    aws.listening(name)
    aws["sagemaker"].stop_training_job(TrainingJobName=name)
    job = aws.ended("describe_training_job", "TrainingJobStatus", TrainingJobName=name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
