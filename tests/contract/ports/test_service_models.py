import pytest

from dropspot.testing import assert_valid_request


def test_a_request_that_fits_passes() -> None:
    assert_valid_request("sagemaker", "CreateEndpoint", {"EndpointName": "e", "EndpointConfigName": "c"})
    assert_valid_request("s3", "GetObject", {"Bucket": "b", "Key": "k"})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"EndpointConfig": "c"}, "EndpointConfig"),
        ({"EndpointName": 3}, "EndpointName"),
        ({"EndpointName": "x" * 64}, "above 63"),
        ({"EndpointName": "a b"}, "doesn't match"),
        ({"Tags": [{"Key": "k", "Value": "v" * 257}]}, "CreateEndpoint.Tags.0.Value is 257"),
    ],
)
def test_a_request_that_the_service_would_refuse_fails(change: dict[str, object], named: str) -> None:
    with pytest.raises(AssertionError, match=named):
        assert_valid_request("sagemaker", "CreateEndpoint", {"EndpointName": "e", "EndpointConfigName": "c"} | change)


def test_a_missing_field_and_an_unknown_value_fail() -> None:
    with pytest.raises(AssertionError, match="EndpointConfigName"):
        assert_valid_request("sagemaker", "CreateEndpoint", {"EndpointName": "e"})
    with pytest.raises(AssertionError, match=r"ResourceConfig\.InstanceType is 'ml\.huge'"):
        assert_valid_request(
            "sagemaker",
            "CreateTrainingJob",
            {
                "TrainingJobName": "t",
                "RoleArn": "arn:aws:iam::000000000000:role/sagemaker",
                "OutputDataConfig": {"S3OutputPath": "s3://b/"},
                "ResourceConfig": {"InstanceType": "ml.huge", "InstanceCount": 1, "VolumeSizeInGB": 1},
            },
        )
