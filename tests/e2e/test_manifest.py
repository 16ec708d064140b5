"""A manifest whose pictures lie in other places: in another bucket, and among the images that were looked at."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from deployed import EXTRA_BUCKET, Deployed, wait_for

from dropspot_cli.toybox import write_toybox
from dropspot_cli.toys import CLASSES

pytestmark = pytest.mark.e2e

# What trains quickly, and never passes the gate: only the preparation is looked at here.
PLAN = {"hyperparameters": {"base_network": "tiny", "image_shape": 128, "epochs": 1}, "gate": {"min_map50": 1}}


def line(reference: str, annotation: Path) -> str:
    """Return the line that Ground Truth would write for a picture of the toybox."""
    root = ElementTree.parse(annotation).getroot()
    width, height = (int(root.findtext(f"size/{side}", "")) for side in ("width", "height"))
    boxes = []
    for entry in root.iter("object"):
        # VOC counts pixels from 1, and its last ones are inside the box.
        left, top, right, bottom = (int(entry.findtext(f"bndbox/{e}", "")) for e in ("xmin", "ymin", "xmax", "ymax"))
        box = {"left": left - 1, "top": top - 1, "width": right - left + 1, "height": bottom - top + 1}
        boxes.append({"class_id": CLASSES.index(entry.findtext("name", "")), **box})
    metadata: dict[str, Any] = {
        "objects": [{"confidence": 0} for _ in boxes],
        "class-map": {str(number): name for number, name in enumerate(CLASSES)},
        "type": "groundtruth/object-detection",
        "human-annotated": "yes",
        "creation-date": "2026-01-01T00:00:00.000000",
        "job-name": "labeling-job/toys",
    }
    labels = {"image_size": [{"width": width, "height": height, "depth": 3}], "annotations": boxes}
    return json.dumps({"source-ref": reference, "toys": labels, "toys-metadata": metadata})


def test_a_ground_truth_manifest_is_prepared_with_pictures_of_other_places(deployed: Deployed, tmp_path: Path) -> None:
    deployed.s3.create_bucket(Bucket=EXTRA_BUCKET)
    places = {
        f"s3://{EXTRA_BUCKET}/camera 1/été+": 12,
        f"s3://{deployed.bucket}/images/reviewed": 8,
        f"s3://{deployed.bucket}/datasets/reviewed": 4,
    }
    folders = [place for place, count in places.items() for _ in range(count)]
    annotations = tmp_path / "annotations" / "xmls"
    lines = []
    for folder, picture in zip(folders, write_toybox(tmp_path, images=24, seed=7), strict=True):
        uri = f"{folder}/{picture.name}"
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        deployed.s3.upload_file(str(picture), bucket, key)
        lines.append(line(uri, annotations / f"{picture.stem}.xml"))
    for uri in (f"s3://{EXTRA_BUCKET}/missing.jpg", "s3://not-named-anywhere/a.jpg"):
        lines.append(line(uri, annotations / "toybox_0000.xml"))
    deployed.put("datasets/reviewed/training.json", json.dumps(PLAN).encode())
    deployed.put("datasets/reviewed/output.manifest", "\n".join(lines).encode())

    run_id = deployed.run("reviewed")
    wait_for("the job", lambda: deployed.json(f"runs/{run_id}/prep.json"))
    wait_for("the job's end", lambda: completed(deployed, f"dropspot-{run_id}-prep"))
    report = deployed.json(f"runs/{run_id}/report/report.json")
    assert report is not None
    assert report["images"] == {"found": 24, "used": 24, "left_out": 0}
    assert report["left_out"] == {"outside_reference": 2}
    assert report["layouts"].keys() == {"manifest"}
    assert [found["name"] for found in report["classes"]] == list(CLASSES)

    listing = deployed.json(f"runs/{run_id}/listing.json")
    assert listing is not None
    assert sum("uri" in entry for entry in listing) == 12 + 8
    assert deployed.runs("reviewed") == [run_id]


def completed(deployed: Deployed, job: str) -> bool:
    described = deployed.client("sagemaker").describe_processing_job(ProcessingJobName=job)
    assert described["ProcessingJobStatus"] in {"InProgress", "Completed"}, described
    return bool(described["ProcessingJobStatus"] == "Completed")


def test_a_manifest_of_a_bucket_that_the_stack_was_not_told_of_fails_in_one_sentence(deployed: Deployed) -> None:
    reference = {"source-ref": "s3://not-named-anywhere/a.jpg", "toys": {"annotations": []}}
    deployed.put("datasets/unreachable/a.manifest", json.dumps(reference).encode())
    failure = deployed.failure(deployed.run("unreachable"))
    assert failure["step"] == "prep"
    assert "not-named-anywhere, which the parameter ExtraDataBuckets doesn't name" in failure["message"]
