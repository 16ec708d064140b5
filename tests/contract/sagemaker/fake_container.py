"""A container's code for the tests: environment variables, hyperparameters and bodies say what it does."""

from __future__ import annotations

import http.server
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import BinaryIO

ROOT = Path(os.environ["DROPSPOT_ML_ROOT"])


def fail(file: str, text: str) -> None:
    """End as a container that says why."""
    (ROOT / "output").mkdir(exist_ok=True)
    (ROOT / "output" / file).write_text(text, encoding="utf-8")
    print(text, file=sys.stderr)
    sys.exit(1)


def process() -> None:
    """Copy every input to the output in upper case, and write down what the container saw."""
    if "FAIL" in os.environ:
        fail("message", os.environ["FAIL"])
    print("processing begins")
    if "ECHO" in os.environ:
        print(os.environ[os.environ["ECHO"]])
    time.sleep(float(os.environ.get("SLEEP", "0")))
    source, target = ROOT / "processing" / "input", ROOT / "processing" / "output"
    target.mkdir(parents=True, exist_ok=True)
    for file in sorted(source.rglob("*")):
        if file.is_file():
            copy = target / file.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(file.read_text(encoding="utf-8").upper(), encoding="utf-8")
    seen = {
        "environment": sorted(os.environ),
        "job": json.loads((ROOT / "config" / "processingjobconfig.json").read_text()),
        "hosts": json.loads((ROOT / "config" / "resourceconfig.json").read_text()),
        "arguments": sys.argv[1:],
    }
    (target / "seen.json").write_text(json.dumps(seen))
    (target / "link").symlink_to(target / "seen.json")
    (ROOT / "output" / "message").write_text("all copied")


def read_pipes(orders: dict[str, list[int]], suffix: str) -> list[BinaryIO]:
    """Read each channel's pipes one after another, -1 or that many bytes of each, and put what came into the model.

    Returns the pipes; each but the last is closed before the channel's next is opened.
    """
    last = []
    for channel, sizes in orders.items():
        pipe = None
        for epoch, size in enumerate(sizes):
            if pipe is not None:
                pipe.close()
            path = ROOT / "input" / "data" / f"{channel}_{epoch}"
            while not path.exists():
                time.sleep(0.01)
            pipe = path.open("rb")
            (ROOT / "model" / f"{path.name}{suffix}").write_bytes(pipe.read(size))
        if pipe is not None:
            last.append(pipe)
    return last


def train() -> None:
    """Obey the hyperparameters; write a model that holds what the container saw."""
    config = ROOT / "input" / "config"
    parameters = json.loads((config / "hyperparameters.json").read_text())
    resources = json.loads((config / "resourceconfig.json").read_text())
    host, ended = resources["current_host"], []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    print("#quality_metric: host=algo-1, epoch=0, batch=1 train smooth_l1 <loss>=(nonsense)")
    print("#quality_metric: host=algo-1, epoch=0, batch=1 train smooth_l1 <loss>=0.75")
    print("#quality_metric: host=algo-1, epoch=0, validation mAP <score>=(0.25)")
    print("#quality_metric: host=algo-1, epoch=1, validation mAP <score>=(0.5)")
    if "mAP" in parameters:
        print(f"#quality_metric: host=algo-1, epoch=2, validation mAP <score>=({parameters['mAP']})")
    checkpoints = ROOT / "checkpoints"
    if checkpoints.is_dir():
        found = sorted(file.name for file in checkpoints.iterdir())
        (checkpoints / f"checkpoint-{len(found)}").write_text("weights")
        if parameters.get("rewriting_host") == host:
            (checkpoints / "progress").write_text("new")
    pipes = read_pipes(json.loads(parameters.get("pipes", "{}")), "" if len(resources["hosts"]) == 1 else f"-{host}")
    deadline = time.monotonic() + (float(parameters.get("sleep", "0")) if host != parameters.get("failing_host") else 0)
    while time.monotonic() < deadline and not ended:
        time.sleep(0.05)
    for pipe in pipes:
        pipe.close()
    (ROOT / "output" / "data" / "curve.csv").write_text("epoch,loss\n")
    if parameters.get("failing_host") == host:
        fail("failure", f"{host} has failed")
    if "failure" in parameters:
        fail("failure", parameters["failure"])
    if "exit" in parameters:
        sys.exit(int(parameters["exit"]))
    seen = {
        "hyperparameters": parameters,
        "channels": json.loads((config / "inputdataconfig.json").read_text()),
        "resources": resources,
        "addresses": os.environ.get("DROPSPOT_HOST_ADDRESSES"),
        "files": sorted(
            str(file.relative_to(ROOT / "input" / "data")) for file in (ROOT / "input" / "data").rglob("*.*")
        ),
        "job": os.environ["TRAINING_JOB_NAME"],
    }
    name = "seen.json" if len(resources["hosts"]) == 1 else f"seen-{host}.json"
    (ROOT / "model" / name).write_text(json.dumps(seen))


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers with what the model folder and the environment say."""

    def do_GET(self) -> None:
        """/ping."""
        self.answer(500 if (ROOT / "model" / "sick").exists() or os.environ.get("SICK") else 200, b"")

    def do_POST(self) -> None:
        """/invocations: the body is an order, or else is echoed."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if body == b"crash":
            os._exit(3)
        if body.startswith(b"sleep "):
            time.sleep(float(body[6:]))
        if "REFUSE" in os.environ:
            self.answer(int(os.environ["REFUSE"]), b"refused by order")
            return
        if body.startswith(b"status "):
            self.answer(int(body[7:]), b"refused: " + body)
            return
        name = (
            (ROOT / "model" / "name").read_text() if (ROOT / "model" / "name").exists() else os.environ.get("NAME", "")
        )
        said = {
            "name": name,
            "bytes": len(body),
            "type": self.headers["Content-Type"],
            "accept": self.headers["Accept"],
        }
        self.answer(200, json.dumps(said).encode())

    def answer(self, status: int, body: bytes) -> None:
        """One response."""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if "ATTRIBUTES" in os.environ:
            self.send_header("X-Amzn-SageMaker-Custom-Attributes", os.environ["ATTRIBUTES"])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """One line of output a request."""
        print(format % args)


def serve() -> None:
    """Listen where the environment says."""
    if os.environ.get("EXIT_AT_START"):
        sys.exit(4)
    address = (os.environ["DROPSPOT_BIND_HOST"], int(os.environ["SAGEMAKER_BIND_TO_PORT"]))
    http.server.ThreadingHTTPServer(address, Handler).serve_forever()


if __name__ == "__main__":
    {"process": process, "train": train, "serve": serve}[sys.argv[1]]()
