"""The cold start: the processor time of a new interpreter that serves one image, for each handler in turn."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

from measuring import HERE, ROOT
from soak.place import Place, wait_for

from dropspot import aws


def cold_starts(place: Place, picture: bytes, rounds: int) -> dict[str, list[float]]:
    """Return the processor seconds of each start of the bare handler and of detect_objects."""
    folder = place.state / "cold"
    bare = folder / "bare"
    bare.mkdir(parents=True)
    shutil.copy(HERE / "bare_handler.py", bare / "app.py")
    own = ROOT / "functions" / "detect_objects"
    found: dict[str, list[float]] = {"bare": [], "own": []}
    for number in range(rounds):
        for name, code in (("bare", bare), ("own", own)):
            found[name].append(_start(place, code, picture, f"cold/{name}-{number}.jpg", folder / "event.json"))
    return {name: seconds[1:] for name, seconds in found.items()}  # the first one fills the caches


def _start(place: Place, code: Path, picture: bytes, key: str, event: Path) -> float:
    aws.client("s3").put_object(Bucket=place.bucket, Key=f"images/{key}", Body=picture)
    wait_for("the deployed function's own document", lambda: place.store.head(f"detections/{key}.json"))
    place.store.delete(f"detections/{key}.json")  # so that everything is still to be done
    detail = {"object": {"key": f"images/{key}"}}
    record = {"body": json.dumps({"detail-type": "Object Created", "detail": detail})}
    record |= {"messageId": "1", "receiptHandle": "1", "attributes": {"ApproximateReceiveCount": "1"}}  # type: ignore[dict-item]
    event.write_text(json.dumps({"Records": [record]}), encoding="utf-8")
    # the layer as it was built: where its modules lie is part of what loading them costs
    layers = [str(path) for path in (place.state / "sam").glob("*Layer/python")]
    told = place.function()["Environment"]["Variables"]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join([str(code), *layers]), **told}
    environment |= {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    environment |= {"AWS_LAMBDA_FUNCTION_NAME": "f", "LAMBDA_TASK_ROOT": str(code), "PYTHONDONTWRITEBYTECODE": ""}
    command = [ROOT / ".envs" / "lambda" / "bin" / "python", HERE / "first_image.py", "app", event]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return float(done.stdout.splitlines()[-1])
