"""What the evaluation and the registry are asked for, for every combination of the parameters that reach it."""

from dataclasses import dataclass
from itertools import product

import pytest

from dropspot.runs import Run
from dropspot.serving_requests import model_request
from dropspot.testing import assert_valid_request
from registration import model_package_request
from transform import champion_transform_job_request, transform_job_request

IMAGES = [
    "685385470294.dkr.ecr.eu-west-1.amazonaws.com/object-detection:1",
    "000000000000.dkr.ecr.cn-north-1.amazonaws.com.cn/team/dropspot-detector@sha256:" + "0" * 64,
]
INSTANCES = ["ml.m5.xlarge", "ml.g4dn.xlarge", "ml.c5.9xlarge"]
# The longest names there are, and the shortest.
RUNS = [Run("a2345678901234567"[:16], "a23456789012345678901234-0123456789"), Run("ab", "x-0123456789")]
DATASETS = ["pets", "Katzen & Hunde ½", "-"]


@dataclass(frozen=True)
class Settings:
    bucket_name: str
    training_image: str
    evaluation_instance_type: str
    model_subnets: tuple[str, ...]
    model_security_groups: tuple[str, ...]
    sagemaker_role_arn: str = "arn:aws:iam::000000000000:role/sagemaker-role"


NETWORKS = [((), ()), (("subnet-1", "subnet-2"), ("sg-1",))]
SETTINGS = [
    Settings("b" * 63, image, instance, *network) for image, instance, network in product(IMAGES, INSTANCES, NETWORKS)
]


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("dataset", DATASETS)
def test_transforms(run: Run, dataset: str) -> None:
    for settings in SETTINGS:
        own = transform_job_request(run, dataset, settings)
        again = champion_transform_job_request(run, Run(run.app, "other-fedcba9876"), dataset, settings)
        for request in (own, again):
            assert_valid_request("sagemaker", "CreateTransformJob", request)
        assert Run.from_name(run.app, again["TransformJobName"]) == run


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("approval", ["automatic", "manual"])
def test_model_packages(run: Run, approval: str) -> None:
    evaluation = {"map50": 1 / 3, "map50_voc07": 0.0, "boxes": 12}
    for settings in SETTINGS:
        container = model_request(run, "pets", "s3://bucket/model.tar.gz", settings)["PrimaryContainer"]
        request = model_package_request(run, container, evaluation, approval, settings.bucket_name)
        assert_valid_request("sagemaker", "CreateModelPackage", request)
        assert "Tags" not in request  # SageMaker takes none on a version: the group has them
