"""The REST API behind API Gateway, with signed requests."""

import json
import urllib.error
import urllib.request

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from deployed import Deployed

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("champion")]


def call(deployed: Deployed, path: str, body: object = None, *, signed: bool = True) -> tuple[int, dict[str, object]]:
    """Return status and body of a request; one with a body is a POST."""
    data = None if body is None else json.dumps(body).encode()
    request = AWSRequest(
        "GET" if data is None else "POST",
        deployed.exports["DROPSPOT_API_URL"] + path,
        data=data,
        headers={"Content-Type": "application/json"},
    )
    if signed:
        credentials = Credentials(deployed.exports["AWS_ACCESS_KEY_ID"], deployed.exports["AWS_SECRET_ACCESS_KEY"])
        SigV4Auth(credentials, "execute-api", deployed.exports["AWS_REGION"]).add_auth(request)
    prepared = request.prepare()
    wire = urllib.request.Request(
        prepared.url, data=data, headers=dict(prepared.headers.items()), method=prepared.method
    )
    try:
        with urllib.request.urlopen(wire, timeout=30) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"{}")


def test_health_names_the_model_in_service(deployed: Deployed) -> None:
    status, answer = call(deployed, "/health")
    champion = deployed.json("endpoint/champion.json")
    assert champion is not None
    assert status == 200
    assert champion["run_id"] in json.dumps(answer)


def test_a_run_can_be_looked_up(deployed: Deployed, champion: str) -> None:
    status, answer = call(deployed, "/runs")
    assert status == 200
    assert champion in json.dumps(answer)
    status, answer = call(deployed, f"/runs/{champion}")
    assert status == 200
    assert "verdict" in json.dumps(answer)
    assert call(deployed, "/runs/toybox-0000000000")[0] == 404
    assert call(deployed, "/runs/no run at all".replace(" ", "%20"))[0] == 400


def test_a_document_can_be_read_by_its_images_key(deployed: Deployed, picture: bytes) -> None:
    deployed.put("images/a+b %.jpg", picture)
    document = deployed.document("images/a+b %.jpg")
    assert call(deployed, "/detections?key=images/a%2Bb%20%25.jpg") == (200, document)
    assert call(deployed, "/detections?key=images/nowhere.jpg")[0] == 404


def test_an_unsigned_request_is_refused(deployed: Deployed) -> None:
    assert call(deployed, "/health", signed=False)[0] == 403


def test_a_retraining_of_an_unknown_data_set_is_refused_aloud(deployed: Deployed) -> None:
    status, answer = call(deployed, "/retrainings", {"dataset": ["not", "a", "name"]})
    assert status == 400
    assert answer
