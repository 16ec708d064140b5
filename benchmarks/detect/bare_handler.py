"""The least that can be done for an image: one read, one invocation, one write. Nothing of it may be relied upon.

The same client settings and threads as detect_objects: what differs is what detect_objects does beyond this.
"""

import json
import os
from concurrent.futures import ThreadPoolExecutor

from dropspot import aws


def handler(event, context):  # noqa: ARG001, D103 - Lambda calls it
    with ThreadPoolExecutor(int(os.environ["DETECT_THREADS"])) as pool:
        list(pool.map(look, event["Records"]))
    return {"batchItemFailures": []}


def look(record):  # noqa: D103 - see above
    key = json.loads(record["body"])["detail"]["object"]["key"]
    bucket, s3 = os.environ["BUCKET_NAME"], aws.client("s3")
    image = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    answer = aws.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=os.environ["ENDPOINT_NAME"], ContentType="application/x-image", Body=image
    )
    document = f"detections/{key.removeprefix('images/')}.json"
    s3.put_object(Bucket=bucket, Key=document, Body=answer["Body"].read(), ContentType="application/json")
