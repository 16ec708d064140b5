"""The region -> built-in Object Detection image mapping is in step with what the SageMaker SDK says."""

import importlib.util

import generate_image_map as script
import pytest
from sam_expansion import TEMPLATE, load


def test_the_template_s_mapping_is_what_the_script_last_wrote() -> None:
    text = TEMPLATE.read_text()
    assert script.with_mapping(text, script.images_on_record()) == text


def test_the_mapping_names_one_image_a_region() -> None:
    mapping = load(TEMPLATE.read_text())["Mappings"]["BuiltInObjectDetection"]
    images = {region: row["Image"] for region, row in mapping.items()}
    assert images == script.images_on_record()
    assert len(images) >= 37
    assert [
        r for r, image in images.items() if f".dkr.ecr.{r}." not in image or not image.endswith("/object-detection:1")
    ] == []


def test_an_edited_mapping_is_noticed() -> None:
    text = TEMPLATE.read_text().replace("685385470294.dkr.ecr.eu-west-1", "000000000000.dkr.ecr.eu-west-1")
    assert script.with_mapping(text, script.images_on_record()) != text


def test_a_template_without_the_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="found 0 times"):
        script.with_mapping("Resources: {}\n", {})


@pytest.mark.skipif(
    importlib.util.find_spec("sagemaker") is None,
    reason="the SageMaker SDK (300 MB) is a tool of whoever refreshes the mapping: pip install sagemaker-core",
)
def test_the_record_is_what_the_installed_sdk_says() -> None:
    assert script.images_known_to_sdk() == script.images_on_record()
