"""detect_objects with a clock at each of its requests, which it writes below detections/timings/ afterwards.

It is put beside a copy of the function's own modules, and changes nothing but the adapters' methods.
"""

import json
import time

import app
from dropspot import aws

_spans = []


def _clocked(owner, method, name):
    original = getattr(owner, method)

    def call(self, *arguments, **named):
        began = time.time()
        try:
            return original(self, *arguments, **named)
        finally:
            _spans.append((name(*arguments), began, time.time()))

    setattr(owner, method, call)


def _of(key):
    return "image" if key.startswith("images/") else "document" if key.startswith("detections/") else "model"


_clocked(aws.S3Store, "read", lambda key: f"read {_of(key)}")
_clocked(aws.S3Store, "version", lambda key: f"check {_of(key)}")
_clocked(aws.S3Store, "write", lambda key, *_: f"write {_of(key)}")
_clocked(aws.SageMakerInference, "invoke", lambda *_: "invoke")
_clocked(aws.EventBridgeBus, "put_all", lambda *_: "announce")


def handler(event, context):  # noqa: D103 - Lambda calls it
    _spans.clear()
    began = time.time()
    answer = app.handler(event, context)
    timing = {"began": began, "ended": time.time(), "spans": _spans}
    for record in event["Records"]:
        key = json.loads(record["body"])["detail"]["object"]["key"]
        body = json.dumps(timing).encode()
        aws.client("s3").put_object(Bucket=_bucket(), Key=f"detections/timings/{key}", Body=body)
    return answer


def _bucket():
    return app.aws_services(app.Settings).settings.bucket_name
