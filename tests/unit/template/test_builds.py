"""`sam build` for AWS holds what Lambda runs, whatever was built in the same checkout before."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sam_expansion import TEMPLATE
from unit.template.binaries import Binary, binaries, elf_machine

ROOT = TEMPLATE.parent
SAM = ROOT / ".envs" / "sam" / "bin" / "sam"
LOCAL_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
LOCAL_PLATFORM = f"{platform.machine()}-unknown-linux-gnu"

needs_sam = [
    pytest.mark.e2e,
    pytest.mark.skipif(not SAM.exists(), reason="the SAM CLI is not installed in .envs/sam: run make"),
]


def build(checkout: Path, environment: str, **variables: str) -> Path:
    """Build the checkout as `sam build --config-env <environment>` and return the folder of the artefacts."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("DROPSPOT_", "AWS_"))}
    uv = ROOT / ".venv" / "bin" / "uv"
    settings = {"UV": str(uv) if uv.exists() else "uv", "SAM_CLI_TELEMETRY": "0", "UV_PYTHON_DOWNLOADS": "never"}
    answer = subprocess.run(
        [SAM, "build", "--config-env", environment],
        cwd=checkout,
        env=inherited | settings | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    return checkout / ".aws-sam" / {"default": "aws"}.get(environment, environment) / "build"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what `sam build` reads."""
    folder = tmp_path_factory.mktemp("checkout")
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc")
    for name in ("functions", "layers"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    for name in ("template.yaml", "samconfig.toml"):
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def builds(checkout: Path) -> tuple[Path, Path]:
    """The folders of a build for AWS and of the one for this interpreter that was made before it."""
    local = {"DROPSPOT_LAYER_PYTHON": LOCAL_PYTHON, "DROPSPOT_LAYER_PLATFORM": LOCAL_PLATFORM}
    for_this_interpreter = build(checkout, "local", **local)
    return build(checkout, "default"), for_this_interpreter


class TestBuilds:
    pytestmark = needs_sam

    def test_a_build_for_aws_after_a_local_one_holds_only_what_lambda_runs(self, builds: tuple[Path, Path]) -> None:
        found = list(binaries(builds[0]))
        assert [each for each in found if "_imaging." in each.path]
        assert {each.machine for each in found} == {"aarch64"}
        assert {each.python for each in found} <= {"cp313", ""}

    def test_a_local_build_is_for_the_running_interpreter(self, builds: tuple[Path, Path]) -> None:
        found = list(binaries(builds[1]))
        assert [each for each in found if "_imaging." in each.path]
        assert {each.machine for each in found} == {platform.machine()}
        assert {each.python for each in found} <= {f"cp{LOCAL_PYTHON.replace('.', '')}", ""}

    @pytest.mark.parametrize("which", [0, 1])
    def test_the_layers_hold_what_the_functions_import_and_little_more(
        self, builds: tuple[Path, Path], which: int
    ) -> None:
        shared, imaging = (builds[which] / layer / "python" for layer in ("SharedLayer", "ImagingLayer"))
        packages = {path.name for path in shared.iterdir() if path.suffix != ".dist-info"}
        used = {"aws_lambda_powertools", "chalice", "dropspot", "jinja2", "jmespath", "markupsafe"}
        assert packages == used | {"typing_extensions.py"}
        assert {path.name for path in (shared / "chalice").iterdir()} == {"__init__.py", "app.py", "py.typed"}
        assert {"PIL", "dropspot_imaging"} <= {path.name for path in imaging.iterdir()}
        assert list(builds[which].rglob("__pycache__")) == []
        assert sum(path.stat().st_size for path in shared.rglob("*") if path.is_file()) < 8_000_000

    def test_detect_objects_and_its_layer_are_small_when_zipped(
        self, builds: tuple[Path, Path], tmp_path: Path
    ) -> None:
        packages = [builds[0] / "DetectObjectsFunction", builds[0] / "SharedLayer"]
        zipped = [Path(shutil.make_archive(str(tmp_path / folder.name), "zip", folder)) for folder in packages]
        assert sum(path.stat().st_size for path in zipped) <= 3_000_000

    def test_the_shared_layer_is_enough_to_import_what_the_functions_import(self, builds: tuple[Path, Path]) -> None:
        # -S: without this environment's packages, which would hide one that is missing.
        program = (
            "import sys; sys.path.insert(0, sys.argv[1])\n"
            "import chalice\n"
            "from aws_lambda_powertools import Logger, Metrics\n"
            "from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType\n"
            "from aws_lambda_powertools.logging import correlation_paths\n"
            "import dropspot.services, dropspot.plan, dropspot.runs\n"
        )
        layer = builds[1] / "SharedLayer" / "python"
        answer = subprocess.run(
            [sys.executable, "-S", "-I", "-c", program, layer], capture_output=True, text=True, check=False
        )
        assert answer.returncode == 0, answer.stderr

    def test_a_function_s_package_is_its_folder(self, builds: tuple[Path, Path]) -> None:
        packaged = {path.name for path in (builds[0] / "ApiFunction").iterdir()}
        assert packaged == {path.name for path in (ROOT / "functions" / "api").iterdir() if path.name != "__pycache__"}


def test_an_elf_file_is_known_by_its_head(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\x7fELF")
    (tmp_path / "arm").write_bytes(b"\x7fELF\x02\x01" + bytes(12) + b"\xb7\x00")
    (tmp_path / "big-endian.cpython-313-x86.so").write_bytes(b"\x7fELF\x02\x02" + bytes(12) + b"\x00\x3e")
    assert list(binaries(tmp_path)) == [
        Binary("arm", "aarch64", ""),
        Binary("big-endian.cpython-313-x86.so", "x86_64", "cp313"),
    ]
    assert elf_machine(Path(sys.executable).resolve()) == platform.machine()
