"""Prepared data and models that are no more than their files, and environments whose interpreter is a script."""

import json
import sys
from pathlib import Path
from typing import Any

from dropspot_cli.project import Project

CLASSES = ["ball", "cube"]
DESCRIPTION = {
    "schema": "dropspot/detector/1",
    "base_network": "tiny",
    "image_shape": 128,
    "num_classes": 2,
    "mean": [0, 0, 0],
    "deviation": [1, 1, 1],
    "nms_threshold": 0.45,
    "nms_topk": 400,
    "best_epoch": 1,
    "validation_map": 0.75,
}
LINE = "#quality_metric: host=algo-1, epoch={0}, "
TRAINED = f"""
echo '{LINE.format(0)}batch=1 train cross_entropy <loss>=2'
echo '{LINE.format(0)}validation mAP <score>=(0.5)'
echo '#progress_metric: host=algo-1, completed 50 %'
echo '{LINE.format(1)}batch=1 train cross_entropy <loss>=1.5'
echo '{LINE.format(1)}validation mAP <score>=(0.75)'
"""
MODEL = f"mkdir -p $DROPSPOT_ML_ROOT/model; echo '{json.dumps(DESCRIPTION)}' > $DROPSPOT_ML_ROOT/model/detector.json\n"

# Answers every picture with what the file `answers.json` beside it has for the picture's bytes
SERVER = """
import json, os, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

answers = json.loads(Path(sys.argv[1]).read_text())
assert (Path(os.environ["DROPSPOT_ML_ROOT"]) / "model" / "detector.json").is_file()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(200 if self.path == "/ping" else 404, {})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        assert self.headers["content-type"] == "application/x-image"
        self.answer(*answers[body])

    def answer(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


address = os.environ["DROPSPOT_BIND_HOST"], int(os.environ["SAGEMAKER_BIND_TO_PORT"])
ThreadingHTTPServer(address, Handler).serve_forever()
"""


def stand_in(root: Path, environment: str, script: str) -> Project:
    """A checkout one of whose environments is a shell script."""
    python = root / ".envs" / environment / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    return Project(root)


def stand_in_server(root: Path, answers: dict[str, tuple[int, Any]]) -> Project:
    """A checkout whose server gives these answers: status and document by the picture's bytes."""
    root.mkdir(exist_ok=True)
    (root / "answers.json").write_text(json.dumps(answers))
    (root / "server.py").write_text(SERVER)
    return stand_in(root, "detector-serve", f"exec {sys.executable} {root}/server.py {root}/answers.json")


def prepared_data(folder: Path, output: str = "recordio") -> Path:
    """What `dropspot prepare` would write, the channels empty; two pictures are held out."""
    names = ["train", "validation"]
    names += [f"{name}_annotation" for name in names] if output == "image" else []
    for name in names:
        (folder / "prepared" / name).mkdir(parents=True)
    images = folder / "prepared" / "test" / "images"
    images.mkdir(parents=True)
    box = {"class_id": 0, "xmin": 0.1, "ymin": 0.1, "xmax": 0.5, "ymax": 0.5, "difficult": False}
    boxes = {"a.jpg": [box], "b.jpg": [box, box | {"class_id": 1, "xmin": 0.6, "xmax": 0.9}]}
    for name in boxes:
        (images / name).write_text(name)
    truth = {"images": {name: {"width": 10, "height": 10, "boxes": found} for name, found in boxes.items()}}
    write(images.parent / "truth.json", truth)
    write(folder / "prepared" / "classes.json", {"classes": CLASSES})
    classes = [{"class_id": class_id, "name": name} for class_id, name in enumerate(CLASSES)]
    report = {"schema": "dropspot/report/1", "classes": classes, "num_training_samples": 40, "label_width": 42}
    write(folder / "report" / "report.json", report | {"output": output})
    return folder


def model_folder(folder: Path, **changes: Any) -> Path:
    """A model that describes itself, and is nothing else."""
    write(folder / "detector.json", DESCRIPTION | changes)
    return folder


def write(path: Path, document: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
