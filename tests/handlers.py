"""Loading of the functions as Lambda loads them, each from its own folder, and the captured events that wake them."""

import importlib
import importlib.util
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

FUNCTIONS = Path(__file__).parents[1] / "functions"
EVENTS = Path(__file__).parent / "events"

_logic: dict[str, dict[str, ModuleType]] = {}  # by function, then by module name


@dataclass(frozen=True)
class FakeContext:
    """What Powertools reads of Lambda's context."""

    function_name: str = "function"
    function_version: str = "$LATEST"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:000000000000:function:function"
    aws_request_id: str = "00000000-0000-0000-0000-000000000000"

    def get_remaining_time_in_millis(self) -> int:
        return 180_000


@cache
def load_handler(function: str) -> ModuleType:
    """Return functions/<function>/app.py as a module of its own: every folder has an `app`."""
    name, path = f"{function}_app", FUNCTIONS / function / "app.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with _alone(function):
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return module


def load_logic(function: str, name: str) -> ModuleType:
    """Return functions/<function>/<name>.py, the very module that the function's `app` imports."""
    with _alone(function):
        return importlib.import_module(name)


@contextmanager
def _alone(function: str) -> Iterator[None]:
    """Let the folder's modules be found under their plain names, as they are in Lambda, and hide them again.

    Two folders may each have an `evaluation`; without this the second handler would get the first one's.
    """
    folder = FUNCTIONS / function
    names = {path.stem for path in folder.glob("*.py")}
    others = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    sys.modules.update(_logic.get(function, {}))
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        _logic[function] = {name: sys.modules.pop(name) for name in names if name in sys.modules}
        sys.modules.update(others)
        importlib.invalidate_caches()


def captured_event(name: str) -> Any:
    """Return tests/events/<name>.json, a new copy each time."""
    return json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))
