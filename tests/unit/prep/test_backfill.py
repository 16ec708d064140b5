"""The two jobs of a backfill in prep_container, as the container starts them."""

import gc
import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dropspot.sniff import PAYLOAD_LIMIT
from prep.backfill import harvest, sniff_pictures

ODD = ["images/a b.jpg", "images/a+b.jpg", "images/é/100%.jpg", 'images/quo"te.jpg', "images/line\nbreak.jpg"]
MODEL = {"run_id": "pets-0123456789", "endpoint_config": "c", "classes": ["cat"], "score_threshold": 0.5}


def listing(root: Path, keys: list[str]) -> None:
    folder = root / "processing/input/listing"
    folder.mkdir(parents=True)
    with (folder / "listing.jsonl").open("w") as file:
        for key in keys:
            entry = {"key": key, "etag": "e", "size": 1, "modified": "2026-01-01T00:00:00Z"}
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")


def photo(root: Path, key: str, **options: Any) -> Path:
    path = root / "processing/input/images" / key
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 20)).save(path, options.pop("kind", "JPEG"), **options)
    return path


def test_the_container_sniffs_what_it_is_given(tmp_path: Path) -> None:
    for key in ODD:
        photo(tmp_path, key)
    photo(tmp_path, "images/other.webp", kind="WEBP")
    large = photo(tmp_path, "images/large.jpg")
    large.write_bytes(large.read_bytes() + bytes(PAYLOAD_LIMIT))
    others = ["images/other.webp", "images/large.jpg", "images/gone.jpg"]
    listing(tmp_path, ODD + others)
    environment = {"DROPSPOT_ML_ROOT": str(tmp_path), "DROPSPOT_TASK": "sniff", "DROPSPOT_BUCKET": "photos"}
    subprocess.run(
        [sys.executable, "-m", "prep"],
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
    )
    made = tmp_path / "processing/output/sniffed"
    assert json.loads((made / "manifest.json").read_text()) == [{"prefix": "s3://photos/"}, *ODD]
    fitting = [json.loads(line) for line in (made / "fitting.jsonl").read_text().splitlines()]
    assert [(entry["key"], entry["width"], entry["height"], entry["content_type"]) for entry in fitting] == [
        (key, 40, 20, "image/jpeg") for key in ODD
    ]
    assert [json.loads(line)["key"] for line in (made / "others.jsonl").read_text().splitlines()] == others
    assert json.loads((made / "report.json").read_text()) == {"fitting": len(ODD), "others": 3}


def test_what_cannot_be_done_is_told_in_one_sentence(tmp_path: Path) -> None:
    environment = {"DROPSPOT_ML_ROOT": str(tmp_path), "DROPSPOT_TASK": "sniff", "DROPSPOT_BUCKET": "photos"}
    ended = subprocess.run(
        [sys.executable, "-m", "prep"],
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
    )
    assert ended.returncode == 1
    assert "could not read or write its files" in (tmp_path / "output/message").read_text()


def test_a_hundred_thousand_pictures_fit_into_a_constant_memory(tmp_path: Path) -> None:
    listing(tmp_path, [f"images/{number:06d}.jpg" for number in range(100_000)])
    made = tmp_path / "made"
    gc.collect()
    tracemalloc.start()
    sniff_pictures(tmp_path / "processing/input", made, "photos", lambda line: None)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert json.loads((made / "report.json").read_text()) == {"fitting": 0, "others": 100_000}
    assert json.loads((made / "manifest.json").read_text()) == [{"prefix": "s3://photos/"}]
    assert peak < 16_000_000  # the listing's entries alone take 50 MB; other tests' threads may be counted, too


def test_documents_are_cut_into_files_and_what_makes_no_sense_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import UTC, datetime

    monkeypatch.setattr("prep.backfill._DOCUMENTS_OF_A_FILE", 2)
    answers = {key: json.dumps({"prediction": [[0, 0.9, 0, 0, 1, 1]]}) for key in ODD}
    answers |= {
        "images/x.jpg": "no json",
        "images/y.jpg": "{}",
        "images/z.jpg": '{"prediction": [[5, 0.9, 0, 0, 1, 1]]}',
    }
    given = tmp_path / "processing/input"
    (given / "sniffed").mkdir(parents=True)
    (given / "model").mkdir()
    (given / "model/model.json").write_text(json.dumps(MODEL))
    with (given / "sniffed/fitting.jsonl").open("w") as file:
        for key in [*answers, "images/unanswered.jpg"]:
            entry = {
                "key": key,
                "etag": "e",
                "size": 9,
                "modified": "m",
                "width": 4,
                "height": 2,
                "content_type": "image/png",
            }
            file.write(json.dumps(entry) + "\n")
    for key, answer in answers.items():
        path = given / "raw" / f"{key}.out"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(answer)
    made = tmp_path / "made"
    harvest(given, made, "photos", datetime.now(UTC), lambda line: None)
    assert json.loads((made / "report.json").read_text()) == {"documents": 5, "missing": 4, "files": 3}
    found = [json.loads(line) for path in sorted(made.glob("0*.jsonl")) for line in path.read_text().splitlines()]
    assert [entry["document"]["image"]["key"] for entry in found] == ODD
    missing = [json.loads(line)["key"] for line in (made / "missing.jsonl").read_text().splitlines()]
    assert missing == ["images/x.jpg", "images/y.jpg", "images/z.jpg", "images/unanswered.jpg"]
