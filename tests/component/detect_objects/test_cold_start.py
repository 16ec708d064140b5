"""The first image of a new worker, served over HTTP as in Lambda: what gets loaded for it is the cold start."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from handlers import FUNCTIONS
from image_pipeline import RUN, picture

from dropspot.answering import attributes_of

LAYER = FUNCTIONS.parent / "layers" / "shared"
NEVER = {"PIL", "chalice", "dropspot_imaging", "mxnet", "numpy", "pydantic", "sagemaker"}
MODULES_OF_OURS = 90  # at most, beside those that a bare handler loads
IMAGE = picture()

# What Lambda sets itself, as its manual lists it.
LAMBDA = {
    "_HANDLER": "app.handler",
    "_X_AMZN_TRACE_ID": "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_REGION": "eu-west-1",
    "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
    "AWS_LAMBDA_FUNCTION_NAME": "dropspot-DetectObjectsFunction-1",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
    "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
    "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
    "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/x",
    "AWS_LAMBDA_LOG_STREAM_NAME": "2026/11/28/[$LATEST]0",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "LANG": "en_US.UTF-8",
    "TZ": ":UTC",
}
STACK = {
    "APP_NAME": "dropspot",
    "BUCKET_NAME": "the-bucket",
    "ENDPOINT_NAME": "dropspot-endpoint",
    "IMAGE_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/0/images",
    "IMAGE_DEAD_LETTER_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/0/dead",
    "IMAGE_RECEIVES": "10",
    "DETECT_THREADS": "4",
    "RECHECK_SECONDS": "240",
    "INFERENCE_MODE": "realtime",
    "SCORE_THRESHOLD": "0.3",
    "POWERTOOLS_METRICS_NAMESPACE": "dropspot",
    "POWERTOOLS_SERVICE_NAME": "detect_objects",
}
EVENT = {
    "Records": [
        {
            "messageId": "1",
            "receiptHandle": "1",
            "body": json.dumps({"detail-type": "Object Created", "detail": {"object": {"key": "images/cat.jpg"}}}),
            "attributes": {"ApproximateReceiveCount": "1"},
        }
    ]
}
PROBE = """
import json, os, sys
APP
class Context:
    function_name = "f"; memory_limit_in_mb = 1024; invoked_function_arn = "arn"; aws_request_id = "1"
    get_remaining_time_in_millis = lambda self: 180_000
answer = app.handler(json.loads(os.environ["EVENT"]), Context())
assert answer == {"batchItemFailures": []}, answer
print("loaded:", *sorted(sys.modules))
"""
BARE = """
import types
import json, logging
from concurrent.futures import ThreadPoolExecutor
import boto3
def handle(event, context):
    s3, runtime = boto3.client("s3"), boto3.client("sagemaker-runtime")
    with ThreadPoolExecutor(4) as pool:
        for record in event["Records"]:
            key = json.loads(record["body"])["detail"]["object"]["key"]
            body = s3.get_object(Bucket="the-bucket", Key=key)["Body"].read()
            answer = runtime.invoke_endpoint(EndpointName="dropspot-endpoint", Body=body)["Body"].read()
            s3.put_object(Bucket="the-bucket", Key="detections/cat.jpg.json", Body=answer)
    return {"batchItemFailures": []}
app = types.SimpleNamespace(handler=handle)
"""


class Aws(BaseHTTPRequestHandler):
    """S3, the endpoint's runtime and the event bus, as far as one image goes."""

    protocol_version = "HTTP/1.1"

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), "ETag": '"etag"', **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        if self.path.endswith("classes.json"):
            self.answer(200, b'{"classes": ["cat", "dog"]}')
        elif "/images/" in self.path:
            self.answer(200, IMAGE)
        else:
            self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")

    def do_HEAD(self) -> None:
        self.answer(200, Last_Modified="Thu, 01 Jan 2026 00:00:00 GMT")

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(200)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.startswith("/endpoints/"):
            said = {"x_Amzn_Invoked_Production_Variant": "v", "X_Amzn_SageMaker_Custom_Attributes": attributes_of(RUN)}
            self.answer(200, b'{"prediction": [[0, 0.9, 0, 0, 1, 1]]}', **said)
        else:
            self.answer(200, b'{"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}')

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Aws)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def loaded(url: str, app: str) -> set[str]:
    """Return the modules of a new interpreter that has served one image."""
    path = os.pathsep.join([str(FUNCTIONS / "detect_objects"), str(LAYER)])
    environment = {**LAMBDA, **STACK, "PATH": os.environ["PATH"], "PYTHONPATH": path, "AWS_ENDPOINT_URL": url}
    environment |= {"LAMBDA_TASK_ROOT": str(FUNCTIONS / "detect_objects"), "EVENT": json.dumps(EVENT)}
    command = [sys.executable, "-c", PROBE.replace("APP", app)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return set(done.stdout.splitlines()[-1].split()[1:])


def test_the_first_image_loads_nothing_heavy_and_little_beyond_boto3(url: str) -> None:
    ours, bare = loaded(url, "import app"), loaded(url, BARE)
    assert {name.partition(".")[0] for name in ours} & NEVER == set()
    assert "boto3" in ours & bare
    beyond = ours - bare
    assert len(beyond) <= MODULES_OF_OURS, sorted(beyond)
