"""Both images as their Dockerfiles make them: pinned requirements install, and the commands start from them alone."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from contract.images.built_image import ROOT, BuiltImage
from PIL import Image, ImageDraw
from unit.detector.live_server import free_port

NOBODY = 65534
PICTURES = 12


def interpreter() -> str:
    """A Python 3.11; where there is one, the system's, which anybody may start."""
    system = "/usr/bin/python3.11"
    return system if os.access(system, os.X_OK) else "3.11"


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder that others may enter, as pytest's own may not be."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="module")
def prep(place: Path) -> BuiltImage:
    return BuiltImage.build(ROOT / "prep_container" / "Dockerfile", place / "prep", interpreter())


@pytest.fixture(scope="module")
def detector(place: Path) -> BuiltImage:
    return BuiltImage.build(ROOT / "detector_container" / "Dockerfile", place / "detector", interpreter())


def pictures_with_a_box() -> Iterator[tuple[bytes, tuple[int, int, int, int]]]:
    draw = random.Random(0)
    for _ in range(PICTURES):
        left, top, side = draw.randrange(60), draw.randrange(60), draw.randrange(30, 60)
        picture, buffer = Image.new("RGB", (128, 128), (draw.randrange(90), 90, 90)), io.BytesIO()
        ImageDraw.Draw(picture).rectangle((left, top, left + side, top + side), fill=(230, 40, 40))
        picture.save(buffer, "JPEG")
        yield buffer.getvalue(), (left, top, left + side, top + side)


@pytest.fixture(scope="module")
def prepared(prep: BuiltImage, place: Path) -> Path:
    """A small data set, prepared by the image's entry point."""
    ml = place / "prep-ml"
    source = ml / "processing" / "input" / "dataset"
    source.mkdir(parents=True)
    with zipfile.ZipFile(source / "pets.zip", "w") as archive:
        for number, (picture, box) in enumerate(pictures_with_a_box()):
            corners = "".join(
                f"<{name}>{value}</{name}>" for name, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
            )
            archive.writestr(f"images/{number}.jpg", picture)
            archive.writestr(
                f"annotations/{number}.xml",
                f"<annotation><filename>{number}.jpg</filename><size><width>128</width><height>128</height><depth>3</depth>"
                f"</size><object><name>cat</name><bndbox>{corners}</bndbox></object></annotation>",
            )
    code, said = prep.run(prep.entrypoint, DROPSPOT_ML_ROOT=str(ml))
    assert code == 0, said
    return ml / "processing" / "output"


@pytest.fixture(scope="module")
def trained(detector: BuiltImage, prepared: Path, place: Path) -> Path:
    """The /opt/ml tree of a short training on those data by the image's `train`."""
    ml = place / "train-ml"
    config = ml / "input" / "config"
    config.mkdir(parents=True)
    for name in ("train", "validation"):
        records = [*prepared.glob(f"**/{name}/*.rec")]
        assert len(records) == 1, [*prepared.rglob("*")]
        (ml / "input" / "data" / name).mkdir(parents=True)
        shutil.copy(records[0], ml / "input" / "data" / name)
    given = {"num_classes": "1", "num_training_samples": "9", "base_network": "tiny", "image_shape": "128"}
    given |= {"mini_batch_size": "4", "epochs": "1"}
    (config / "hyperparameters.json").write_text(json.dumps(given))
    code, said = detector.run(["train"], DROPSPOT_ML_ROOT=str(ml))
    assert code == 0, said
    return ml


@pytest.mark.timeout(300)
def test_the_preparation_image_prepares(prepared: Path) -> None:
    assert [*prepared.glob("**/report.json")]


@pytest.mark.timeout(300)
def test_the_detector_image_trains(trained: Path) -> None:
    assert (trained / "model" / "model_algo_1-0000.params").is_file()
    assert (trained / "model" / "detector.onnx").is_file()


@pytest.mark.timeout(300)
def test_the_detector_image_has_its_imagenet_weights(detector: BuiltImage) -> None:
    """Converted while it was built: a training has no network to fetch them from."""
    code, said = detector.run(
        [
            f"{detector.root}/opt/train/bin/python",
            "-c",
            "from detector.pretrained import load_weights; print(len(load_weights()))",
        ]
    )
    assert code == 0, said
    assert int(said.split()[-1]) >= 100


@pytest.mark.timeout(300)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.skipif(not interpreter().startswith("/"), reason="no Python 3.11 that anybody may start")
def test_the_detector_image_serves_as_nobody_a_model_that_it_may_only_read(
    detector: BuiltImage, trained: Path, place: Path
) -> None:
    ml, port = place / "serve-ml", free_port()
    shutil.copytree(trained / "model", ml / "model")
    for path in [*ml.rglob("*"), ml]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    here = {"DROPSPOT_BIND_HOST": "127.0.0.1", "SAGEMAKER_BIND_TO_PORT": str(port), "DROPSPOT_ML_ROOT": str(ml)}
    process = detector.start(["serve"], **here)
    try:
        wait_until_healthy(process, port)
        status = Path(f"/proc/{process.pid}/status").read_text()
        assert f"Uid:\t{NOBODY}\t{NOBODY}\t{NOBODY}\t{NOBODY}" in status
        assert "Groups:\t \n" in status or "Groups:\t\n" in status
        assert "CapEff:\t0000000000000000" in status
        assert "NoNewPrivs:\t1" in status
        picture, _ = next(pictures_with_a_box())
        answer = httpx.post(
            f"http://127.0.0.1:{port}/invocations", content=picture, headers={"content-type": "image/jpeg"}
        )
        assert answer.status_code == 200, answer.text
        assert "prediction" in answer.json()
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=30)
        assert process.returncode == 0, said
    finally:
        process.kill()
        process.communicate()


def wait_until_healthy(process: subprocess.Popen[str], port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[0]
        try:
            if httpx.get(f"http://127.0.0.1:{port}/ping").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError("the server has not come up")
