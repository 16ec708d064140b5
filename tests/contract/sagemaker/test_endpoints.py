"""Endpoints: creation, blue/green replacement, rollback, deletion, and the calls they answer."""

from __future__ import annotations

import io
import tarfile
import threading

import pytest
from botocore.exceptions import ClientError

BUCKET = "contract-bucket"


def statuses(events, name: str) -> list[str]:
    kind = "SageMaker Endpoint State Change"
    heard = [event["detail"] for event in events() if event["detail-type"] == kind]
    return [detail["EndpointStatus"] for detail in heard if detail["EndpointName"] == name]


def artifact(aws, key: str, **files: bytes) -> str:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, body in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(body)
            tar.addfile(member, io.BytesIO(body))
    aws.put(key, buffer.getvalue())
    return f"s3://{BUCKET}/{key}"


@pytest.fixture(scope="module")
def served(aws) -> str:
    """An endpoint for the tests that only ask it."""
    model = aws.model(aws.name("model"), data=artifact(aws, "artifacts/served.tar.gz", name=b"from the artifact"))
    name = aws.name("endpoint")
    assert aws.endpoint(name, aws.config(aws.name("config"), model))["EndpointStatus"] == "InService"
    return name


def test_the_container_answers_with_its_own_type_and_names_the_variant(aws, served):
    """InvokeEndpoint, ContentType and InvokedProductionVariant: the container's type, and who answered."""
    answer = aws.ask(served, b"12345", ContentType="image/jpeg", Accept="application/json")
    assert answer["said"] == {
        "name": "from the artifact",
        "bytes": 5,
        "type": "image/jpeg",
        "accept": "application/json",
    }
    assert answer["ContentType"] == "application/json"
    config = aws.at_rest(served)["EndpointConfigName"]
    variant = aws["sagemaker"].describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"][0]
    assert answer["InvokedProductionVariant"] == variant["VariantName"]


def test_the_container_s_custom_attributes_reach_who_asked(aws, served):
    """InvokeEndpoint, CustomAttributes: the container's header is handed on."""
    assert "CustomAttributes" not in aws.ask(served, b"x")
    model = aws.model(aws.name("model"), environment={"ATTRIBUTES": "run_id=pets-0123456789"})
    name = aws.name("endpoint")
    assert aws.endpoint(name, aws.config(aws.name("config"), model))["EndpointStatus"] == "InService"
    assert aws.ask(name, b"x")["CustomAttributes"] == "run_id=pets-0123456789"


def test_what_the_container_refuses_is_a_model_error_with_its_status_and_text(aws, served):
    """InvokeEndpoint, ModelError: HTTP 424 with OriginalStatusCode and OriginalMessage."""
    for status, side in ((415, "client"), (503, "server")):
        with pytest.raises(ClientError, match=f"Received {side} error") as refused:
            aws.ask(served, b"status %d" % status)
        response = refused.value.response
        assert response["Error"]["Code"] == "ModelError"
        assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
        assert (response["OriginalStatusCode"], response["OriginalMessage"]) == (status, f"refused: status {status}")


def test_a_body_may_have_six_mebibytes_and_no_byte_more(aws, served):
    """InvokeEndpoint, Body: 6,291,456 bytes at most."""
    assert aws.ask(served, b"x" * 6_291_456)["said"]["bytes"] == 6_291_456
    with pytest.raises(ClientError) as refused:
        aws.ask(served, b"x" * 6_291_457)
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413


def test_a_missing_endpoint_is_a_validation_error(aws):
    """InvokeEndpoint, ValidationError: an endpoint that isn't there is the request's fault."""
    with pytest.raises(ClientError, match=r"Endpoint nowhere of account 000000000000 not found\.") as refused:
        aws.ask("nowhere")
    assert refused.value.response["Error"]["Code"] == "ValidationError"


def test_a_crashed_container_is_started_again(aws, served):
    """Use Your Own Inference Code with Hosting Services: a container that ends is restarted."""
    with pytest.raises(ClientError) as refused:
        aws.ask(served, b"crash")
    assert refused.value.response["Error"]["Code"] == "ModelError"
    for _ in range(100):
        try:
            assert aws.ask(served)["said"]["name"] == "from the artifact"
            return
        except ClientError:
            threading.Event().wait(0.1)
    pytest.fail("the container didn't come back")


def test_an_update_moves_the_traffic_without_a_gap(aws, events):
    """UpdateEndpoint: the new fleet takes over with no loss of availability."""
    name = aws.name("endpoint")
    old = aws.config(aws.name("config"), aws.model(aws.name("model"), environment={"NAME": "old"}))
    new = aws.config(aws.name("config"), aws.model(aws.name("model"), environment={"NAME": "new"}))
    aws.endpoint(name, old)
    heard: list[str] = []
    done = threading.Event()

    def keep_asking() -> None:
        while not done.is_set():
            heard.append(aws.ask(name)["said"]["name"])

    asking = threading.Thread(target=keep_asking)
    asking.start()
    try:
        aws["sagemaker"].update_endpoint(EndpointName=name, EndpointConfigName=new)
        assert aws["sagemaker"].describe_endpoint(EndpointName=name)["EndpointConfigName"] == old
        assert aws.at_rest(name)["EndpointConfigName"] == new
        assert aws.ask(name)["said"]["name"] == "new"
    finally:
        done.set()
        asking.join()
    assert set(heard) == {"old", "new"}
    assert heard == sorted(heard, reverse=True)  # never back to the old one
    assert statuses(events, name) == ["CREATING", "IN_SERVICE", "UPDATING", "IN_SERVICE"]
    last = events()[-1]["detail"]
    assert last["EndpointConfigName"] == new
    assert last["ProductionVariants"] == [{"DesiredWeight": 1.0, "DesiredInstanceCount": 1}]


def test_an_update_that_never_gets_healthy_is_rolled_back(aws, events):
    """DescribeEndpoint, EndpointStatus RollingBack: InService again with the configuration before."""
    name = aws.name("endpoint")
    old = aws.config(aws.name("config"), aws.model(aws.name("model"), environment={"NAME": "old"}))
    new = aws.config(aws.name("config"), aws.model(aws.name("model"), environment={"EXIT_AT_START": "yes"}))
    aws.endpoint(name, old)
    aws["sagemaker"].update_endpoint(EndpointName=name, EndpointConfigName=new)
    endpoint = aws.at_rest(name)
    assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("InService", old)
    assert "did not pass the ping health check" in endpoint["FailureReason"]
    assert aws.ask(name)["said"]["name"] == "old"
    assert statuses(events, name)[-3:] == ["UPDATING", "ROLLING_BACK", "IN_SERVICE"]


def test_a_container_that_never_gets_healthy_fails_the_creation(aws, events):
    """DescribeEndpoint, EndpointStatus Failed: DeleteEndpoint is the only operation left."""
    model = aws.model(aws.name("model"), environment={"EXIT_AT_START": "yes"})
    name = aws.name("endpoint")
    endpoint = aws.endpoint(name, aws.config(aws.name("config"), model))
    assert endpoint["EndpointStatus"] == "Failed"
    assert endpoint["FailureReason"] == (
        f"The primary container for production variant {model} did not pass the ping health check. Please check "
        "CloudWatch logs for this endpoint."
    )
    assert statuses(events, name) == ["CREATING", "FAILED"]
    with pytest.raises(ClientError, match="not found"):
        aws.ask(name)
    with pytest.raises(ClientError, match=r"Cannot update endpoint .* in status Failed"):
        aws["sagemaker"].update_endpoint(EndpointName=name, EndpointConfigName=endpoint["EndpointConfigName"])
    aws["sagemaker"].delete_endpoint(EndpointName=name)


def test_an_artifact_with_a_path_that_leads_out_fails_the_creation(aws):
    """docs/embedded-cloud.md: an archive can't write outside of its container's folder."""
    model = aws.model(aws.name("model"), data=artifact(aws, "artifacts/evil.tar.gz", **{"../evil": b"x"}))
    endpoint = aws.endpoint(aws.name("endpoint"), aws.config(aws.name("config"), model))
    assert endpoint["EndpointStatus"] == "Failed"
    assert "leads out of the container's folder" in endpoint["FailureReason"]


def test_an_endpoint_under_change_takes_no_other_change(aws):
    """UpdateEndpoint; DeleteEndpoint: refused while the endpoint is being changed."""
    name = aws.name("endpoint")
    config = aws.config(aws.name("config"), aws.model(aws.name("model"), environment={"SICK": "for now"}))
    aws["sagemaker"].create_endpoint(EndpointName=name, EndpointConfigName=config)
    for change in (
        lambda: aws["sagemaker"].update_endpoint(EndpointName=name, EndpointConfigName=config),
        lambda: aws["sagemaker"].delete_endpoint(EndpointName=name),
    ):
        with pytest.raises(ClientError, match="in-progress endpoint") as refused:
            change()
        assert refused.value.response["Error"]["Code"] == "ValidationException"


def test_a_deleted_endpoint_is_gone_and_says_so_only_once(aws, events):
    """DeleteEndpoint: DELETING is the last event."""
    name = aws.name("endpoint")
    aws.endpoint(name, aws.config(aws.name("config"), aws.model(aws.name("model"))))
    aws["sagemaker"].delete_endpoint(EndpointName=name)
    for _ in range(100):
        if not aws["sagemaker"].list_endpoints(NameContains=name)["Endpoints"]:
            break
        threading.Event().wait(0.1)
    arn = f"arn:aws:sagemaker:us-east-1:000000000000:endpoint/{name}"
    with pytest.raises(ClientError, match=f'Could not find endpoint "{arn}"'):
        aws["sagemaker"].describe_endpoint(EndpointName=name)
    assert statuses(events, name) == ["CREATING", "IN_SERVICE", "DELETING"]


def test_the_model_and_the_config_may_go_while_the_endpoint_serves(aws):
    """DeleteModel; DeleteEndpointConfig: what runs is not changed by it."""
    name, config = aws.name("endpoint"), aws.name("config")
    model = aws.model(aws.name("model"), environment={"NAME": "kept"})
    aws.endpoint(name, aws.config(config, model))
    aws["sagemaker"].delete_endpoint_config(EndpointConfigName=config)
    aws["sagemaker"].delete_model(ModelName=model)
    assert aws.ask(name)["said"]["name"] == "kept"
    with pytest.raises(ClientError, match="Could not find endpoint configuration"):
        aws["sagemaker"].update_endpoint(EndpointName=name, EndpointConfigName=config)


def test_variants_share_the_traffic_and_can_be_asked_by_name(aws):
    """ProductionVariant, InitialVariantWeight; InvokeEndpoint, TargetVariant."""
    first = aws.model(aws.name("model"), environment={"NAME": "first"})
    second = aws.model(aws.name("model"), environment={"NAME": "second"})
    name = aws.name("endpoint")
    aws.endpoint(name, aws.config(aws.name("config"), first, second))
    assert {aws.ask(name)["said"]["name"] for _ in range(40)} == {"first", "second"}
    assert {aws.ask(name, TargetVariant=second)["said"]["name"] for _ in range(10)} == {"second"}
    with pytest.raises(ClientError, match="Variant third not found"):
        aws.ask(name, TargetVariant="third")


def test_duplicates_are_refused_by_arn(aws, served):
    """CreateModel; CreateEndpointConfig; CreateEndpoint: names are unique."""
    model = aws.model(aws.name("model"))
    config = aws.config(aws.name("config"), model)
    with pytest.raises(ClientError, match="Cannot create already existing model"):
        aws.model(model)
    with pytest.raises(ClientError, match="Cannot create already existing endpoint configuration"):
        aws.config(config, model)
    with pytest.raises(ClientError, match=rf'Cannot create already existing endpoint "arn.*/{served}"'):
        aws.endpoint(served, config)
