"""Which commands stand for which image."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dropspot_local import images

ROOT = Path("/checkout")


def test_the_checkouts_images_run_in_their_own_environments():
    table = images.checkout_images(ROOT)
    prep = table.find(images.PREP_IMAGE)
    assert prep.command("any", "process") == ("/checkout/.envs/prep/bin/python", "-m", "prep")
    assert prep.environment["PYTHONPATH"] == (
        "/checkout/prep_container:/checkout/layers/shared:/checkout/layers/imaging"
    )
    detector = table.find(images.DETECTOR_IMAGE)
    assert detector.command("any", "train") == ("/checkout/.envs/detector-train/bin/python", "-m", "detector.train")
    assert detector.command("any", "serve") == ("/checkout/.envs/detector-serve/bin/python", "-m", "detector.serve")


@pytest.mark.parametrize(
    "uri",
    [
        "811284229777.dkr.ecr.us-east-1.amazonaws.com/object-detection:1",
        "387376663083.dkr.ecr.cn-northwest-1.amazonaws.com.cn/object-detection:1",
    ],
)
def test_the_built_in_algorithm_is_the_detector(uri):
    table = images.checkout_images(ROOT)
    assert table.find(uri) is table.find(images.DETECTOR_IMAGE)


@pytest.mark.parametrize(
    "uri",
    [
        "811284229777.dkr.ecr.us-east-1.amazonaws.com/object-detection:2",
        "811284229777.dkr.ecr.us-east-1.amazonaws.com/image-classification:1",
        "object-detection:1",
    ],
)
def test_any_other_image_is_unknown_by_name(uri):
    with pytest.raises(images.UnknownImageError, match=uri):
        images.checkout_images(ROOT).find(uri)


def test_an_image_may_lack_a_way_of_starting():
    prep = images.checkout_images(ROOT).find(images.PREP_IMAGE)
    with pytest.raises(images.UnknownImageError, match="'serve'"):
        prep.command(images.PREP_IMAGE, "serve")


def test_a_table_is_read_from_a_file(tmp_path):
    entry = {"commands": {"train": ["python", "train.py"]}, "environment": {"A": "1"}}
    (tmp_path / "images.json").write_text(json.dumps({"mine:1": entry}))
    mine = images.read_images(tmp_path / "images.json").find("mine:1")
    assert mine.command("mine:1", "train") == ("python", "train.py")
    assert mine.environment == {"A": "1"}
