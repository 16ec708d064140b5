"""What `dropspot prepare` has written, given to a verb as its OUT folder or as the prepared/ in it."""

import json
from pathlib import Path
from typing import Any

from dropspot.errors import InvalidInputError
from dropspot.prepared import Prepared

CLASSES = "classes.json"
_REPORT = Path("report") / "report.json"
_REPORT_SCHEMA = "dropspot/report/1"


def channels_folder(given: Path) -> Path:
    """Return the folder that holds the channels and classes.json; raise InvalidInputError where there is none."""
    for folder in (given / "prepared", given):
        if (folder / CLASSES).is_file():
            return folder.resolve()
    raise InvalidInputError(
        f"{given} holds no prepared data: give the folder that `dropspot prepare` wrote (with prepared/ and report/)"
    )


def facts(channels: Path) -> Prepared:
    """Return what training must know of the data, from the report beside them; raise InvalidInputError without it."""
    path = channels.parent / _REPORT
    report = read_document(path, _REPORT_SCHEMA)
    try:
        return Prepared.from_report(report)
    except (KeyError, TypeError) as error:
        raise InvalidInputError(f"{path} is incomplete: prepare the data again") from error


def class_names(channels: Path) -> tuple[str, ...]:
    """Return the classes' names in the order of their ids."""
    path = channels / CLASSES
    names = read_document(path).get("classes")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise InvalidInputError(f"{path} is no list of classes: prepare the data again")
    return tuple(names)


def read_document(path: Path, schema: str | None = None) -> dict[str, Any]:
    """Return a JSON object; raise InvalidInputError where there is none, or one of another schema."""
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise InvalidInputError(f"{path} is missing") from error
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"{path} is not JSON") from error
    if not isinstance(document, dict) or (schema is not None and document.get("schema") != schema):
        raise InvalidInputError(f"{path} is no {schema or 'JSON object'}")
    return document
