"""The message that asks detect_objects to look at an image without an event of S3: from backfills and audits."""

import json

DETAIL_TYPE = "Look Again"


def look_again(key: str, *, anew: bool = False) -> str:
    """Return the image queue's message that brings the document under the image's key up to date, or removes it.

    It says nothing of the object, which is looked up. `anew`: also where the present model has described it already.
    """
    detail = {"object": {"key": key}, "anew": anew}
    return json.dumps({"detail-type": DETAIL_TYPE, "detail": detail})
