"""What inputdataconfig.json says decides how each channel is read; what the algorithm doesn't read is refused."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from unit.detector.written_channels import drawn, write_image_files, write_record_file

from detector.channels.input_configuration import ChannelFormat, channel_formats, format_in
from dropspot.errors import InvalidInputError

ROOT = Path(__file__).parents[3]
RECORDIO, JPEG = "application/x-recordio", "image/jpeg"


def channel(content_type: str | None, mode: str = "File", wrapper: str = "None") -> dict[str, Any]:
    values = {"TrainingInputMode": mode, "S3DistributionType": "FullyReplicated", "RecordWrapperType": wrapper}
    return values | ({"ContentType": content_type} if content_type is not None else {})


def formats(folder: Path, document: object) -> dict[str, ChannelFormat | None]:
    path = folder / "inputdataconfig.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return channel_formats(path)


def both(*values: Any, **more: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {"train": channel(*values), "validation": channel(*values)} | more


def with_annotations(content_type: str) -> dict[str, dict[str, Any]]:
    sides = both(content_type)
    return sides | {f"{name}_annotation": values for name, values in sides.items()}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (both(RECORDIO), ChannelFormat.RECORD_FILES),
        (both(RECORDIO, "FastFile"), ChannelFormat.RECORD_FILES),
        (both("Application/X-RecordIO; label_size=5"), ChannelFormat.RECORD_FILES),
        (with_annotations(JPEG), ChannelFormat.IMAGE_FILES),
        (with_annotations("image/png"), ChannelFormat.IMAGE_FILES),
        (with_annotations("application/x-image"), ChannelFormat.IMAGE_FILES),
        (both(RECORDIO, "Pipe"), ChannelFormat.PIPED_RECORDS),
        (both(None, "Pipe"), ChannelFormat.PIPED_RECORDS),
        (both(RECORDIO, "Pipe", "RecordIO"), ChannelFormat.PIPED_ATTRIBUTES),
        (both(JPEG, "Pipe", "RecordIO"), ChannelFormat.PIPED_ATTRIBUTES),  # as the guide's own example has it
        (both(None), None),
        (both(RECORDIO, other=channel("text/csv")), ChannelFormat.RECORD_FILES),
    ],
)
def test_the_configuration_decides_the_format(
    tmp_path: Path, document: dict[str, Any], expected: ChannelFormat | None
) -> None:
    assert formats(tmp_path, document) == {"train": expected, "validation": expected}


def test_channels_may_have_different_input_modes(tmp_path: Path) -> None:
    document = {"train": channel(RECORDIO, "Pipe"), "validation": channel(RECORDIO)}
    assert formats(tmp_path, document) == {
        "train": ChannelFormat.PIPED_RECORDS,
        "validation": ChannelFormat.RECORD_FILES,
    }


@pytest.mark.parametrize("name", ["model", "pretrained"])
def test_weights_come_as_files(tmp_path: Path, name: str) -> None:
    kind = "application/x-sagemaker-model"
    assert formats(tmp_path, both(RECORDIO, "Pipe", **{name: channel(kind)}))
    with pytest.raises(InvalidInputError) as caught:
        formats(tmp_path, both(RECORDIO, **{name: channel(kind, "Pipe")}))
    assert str(caught.value) == f"channel {name} has input mode Pipe: state File for it"


def test_without_a_configuration_the_folders_decide(tmp_path: Path) -> None:
    assert channel_formats(tmp_path / "none.json") == {"train": None, "validation": None}
    write_record_file(tmp_path / "a" / "train", drawn(1))
    write_image_files(tmp_path / "b" / "train", drawn(1))
    assert format_in(tmp_path / "a" / "train") is ChannelFormat.RECORD_FILES
    assert format_in(tmp_path / "b" / "train") is ChannelFormat.IMAGE_FILES


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ("{", "inputdataconfig.json is not JSON"),
        ("[]", "inputdataconfig.json is not an object of channels"),
        ({"train": "File"}, "inputdataconfig.json is not an object of channels"),
        ({}, "channel train is missing; the job's channels: none"),
        ({"train": channel(RECORDIO)}, "channel validation is missing; the job's channels: train"),
        (both("text/csv"), "channel train has content type 'text/csv'; there are application/x-recordio, image/jpeg"),
        (both(RECORDIO, "Fast"), "channel train has input mode 'Fast'; there are File, FastFile, Pipe"),
        (both(RECORDIO, "Pipe", "Zip"), "channel train has record wrapper 'Zip'; there are None, RecordIO"),
        (both(RECORDIO, "File", "RecordIO"), "channel train has RecordWrapperType RecordIO in input mode File"),
        (both(JPEG), "channel train_annotation is missing; the job's channels: train, validation"),
        (both(JPEG, "Pipe"), "channel train has content type image/jpeg in input mode Pipe without"),
        (
            with_annotations(JPEG) | {"train_annotation": channel("image/png")},
            "channel train_annotation has content type image/png, channel train image/jpeg",
        ),
        (
            with_annotations(JPEG) | {"train_annotation": channel(JPEG, "Pipe")},
            "channel train_annotation has input mode Pipe",
        ),
        (
            with_annotations(JPEG) | {"validation": channel(RECORDIO)},
            "the channels must have one content type: train has image/jpeg, validation has application/x-recordio",
        ),
    ],
)
def test_a_combination_that_is_not_read_is_one_sentence(tmp_path: Path, document: object, sentence: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        formats(tmp_path, document)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_train_command_refuses_before_it_loads_anything(tmp_path: Path) -> None:
    config = tmp_path / "input" / "config"
    config.mkdir(parents=True)
    (config / "hyperparameters.json").write_text('{"num_classes": "2", "num_training_samples": "10"}')
    (config / "inputdataconfig.json").write_text(json.dumps(both("text/csv")))
    (tmp_path / "mxnet.py").write_text("raise ImportError('a refusal must not need MXNet')")
    code = (ROOT / part for part in ("detector_container", "layers/shared", "layers/imaging"))
    env = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (tmp_path, *code))), "DROPSPOT_ML_ROOT": str(tmp_path)}
    command = [sys.executable, "-m", "detector.train"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert (tmp_path / "output" / "failure").read_text().startswith("channel train has content type 'text/csv'")
