"""One embedded cloud for all end-to-end tests, with the stack deployed and a first model in service."""

import io
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from deployed import EXTRA_BUCKET, Deployed

from dropspot_cli import env_file
from dropspot_cli.toybox import write_toybox

TINY = {
    "hyperparameters": {"base_network": "tiny", "image_shape": 128, "epochs": 2},
    "gate": {"min_map50": 0, "max_class_drop": 1},  # good enough, whatever it has learned and whoever was before it
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("e2e"):
            item.add_marker(pytest.mark.timeout(600))  # the first one waits for a real training
    # The teardown comes last of those that share the stack, whatever the modules are called.
    places = [place for place, item in enumerate(items) if item.path.parent == Path(__file__).parent]
    ordered = sorted((items[place] for place in places), key=lambda item: item.path.name == "test_teardown.py")
    for place, item in zip(places, ordered, strict=True):
        items[place] = item


@pytest.fixture(scope="session")
def deployed() -> Iterator[Deployed]:
    # Not below pytest's own folders: sockets and long job names need a short path.
    state = Path(tempfile.mkdtemp(prefix="dropspot-e2e-"))
    cloud = Deployed(state)
    try:
        cloud.command("up", "--parameter", f"ExtraDataBuckets={EXTRA_BUCKET}")
        cloud.exports = env_file.read(state / "env")
        yield cloud
    finally:
        cloud.command("down")
        shutil.rmtree(state, ignore_errors=True)


@pytest.fixture(scope="session")
def toybox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The generated data set of the demo."""
    folder = tmp_path_factory.mktemp("toybox")
    write_toybox(folder)
    return folder


@pytest.fixture
def small(tmp_path: Path) -> Any:
    """Write a small data set that trains in seconds; no two are equal, and the plan may be changed."""

    def write(seed: int, plan: dict[str, Any] | None = None) -> Path:
        folder = tmp_path / f"small-{seed}"
        write_toybox(folder, images=24, seed=seed)
        (folder / "training.json").write_text(json.dumps(TINY if plan is None else plan))
        return folder

    return write


@pytest.fixture(scope="session")
def champion(deployed: Deployed, toybox: Path) -> str:
    """The first model in service: the demo's data set, trained by the default plan."""
    deployed.command("push", str(toybox), "--name", "toybox")
    run_id = deployed.run("toybox")
    assert deployed.ended(run_id, seconds=400) == "deployed", deployed.json(f"runs/{run_id}/failure.json")
    return run_id


@pytest.fixture(scope="session")
def picture(toybox: Path) -> bytes:
    """A picture that the champion knows something about."""
    return sorted((toybox / "images").iterdir())[0].read_bytes()


@pytest.fixture
def other_picture(picture: bytes) -> bytes:
    """The same scene as another picture: mirrored."""
    from PIL import Image, ImageOps

    file = io.BytesIO()
    ImageOps.mirror(Image.open(io.BytesIO(picture))).save(file, "JPEG", quality=95)
    return file.getvalue()
