"""The Training job's channels: which of the prepared objects it reads, and how they reach it.

The built-in algorithm's table: RecordIO in File, FastFile or Pipe mode; pictures beside JSON documents in File mode, in
four channels of one content type; augmented manifests in Pipe mode, the picture before its boxes in each record.
"""

from collections.abc import Callable, Mapping

from dropspot.errors import InvalidInputError
from dropspot.plan import INPUT_MODES, TrainingPlan
from dropspot.ports import Request
from dropspot.runs import Run

SIDES = ("train", "validation")
_RECORDIO, _JPEG = "application/x-recordio", "image/jpeg"


def input_data_config(run: Run, bucket: str, plan: TrainingPlan, written: str) -> list[Request]:
    """Return InputDataConfig for a plan; `written` is the output that preparation says it wrote.

    Raises InvalidInputError for another output than the plan's, or an input mode that the algorithm has not got for it.
    """
    output = plan.preparation.output
    if written != output:
        raise InvalidInputError(
            f"the plan's output is {output} but preparation wrote {written}: its image is older than this stack"
        )
    if plan.input_mode not in INPUT_MODES[output]:
        possible = " or ".join(INPUT_MODES[output])
        raise InvalidInputError(f"input mode {plan.input_mode} can't carry the output {output}: it takes {possible}")
    base = f"s3://{bucket}/{run.key('prepared')}"
    return [channel for side in SIDES for channel in _CHANNELS[output](base, side, plan)]


def _channel(name: str, content_type: str, input_mode: str, uri: str) -> Request:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {
        "ChannelName": name,
        "ContentType": content_type,
        "CompressionType": "None",
        "InputMode": input_mode,
        "DataSource": {"S3DataSource": source},
    }


def _record_channels(base: str, side: str, plan: TrainingPlan) -> list[Request]:
    return [_channel(side, _RECORDIO, plan.input_mode, f"{base}/{side}/{side}.rec")]


def _image_channels(base: str, side: str, plan: TrainingPlan) -> list[Request]:
    """The pictures and their annotations; the slash keeps the prefix `train/` from matching `train_annotation/`."""
    names = (side, f"{side}_annotation")
    return [_channel(name, _JPEG, plan.input_mode, f"{base}/{name}/") for name in names]


def _manifest_channels(base: str, side: str, plan: TrainingPlan) -> list[Request]:
    """One channel that streams picture, boxes, picture, boxes; training gets them in another order each epoch."""
    channel = _channel(side, _RECORDIO, plan.input_mode, f"{base}/{side}/{side}.manifest")
    channel["RecordWrapperType"] = "RecordIO"
    channel["DataSource"]["S3DataSource"] |= {
        "S3DataType": "AugmentedManifestFile",
        "AttributeNames": ["source-ref", "bounding-box"],
    }
    if side == "train":
        channel["ShuffleConfig"] = {"Seed": plan.preparation.split.seed}
    return [channel]


# By the plan's output: the channels of one side, below a base URI.
_CHANNELS: Mapping[str, Callable[[str, str, TrainingPlan], list[Request]]] = {
    "recordio": _record_channels,
    "image": _image_channels,
    "augmented-manifest": _manifest_channels,
}
