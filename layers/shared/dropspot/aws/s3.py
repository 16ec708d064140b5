"""A bucket on S3."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

from botocore.exceptions import ClientError

from dropspot.aws.clients import client
from dropspot.aws.errors import UNANSWERED, code_of, translated
from dropspot.datasets import StoredObject
from dropspot.errors import InvalidInputError, NotFoundError, TransientError
from dropspot.ports import ObjectVersion, StoredBytes

_PIECE = 1024 * 1024


class S3Store:
    """A bucket on S3."""

    def __init__(self, bucket: str) -> None:
        self.bucket = bucket

    def sibling(self, bucket: str) -> "S3Store":
        return S3Store(bucket)

    def objects(self, prefix: str, after: str = "") -> Iterator[StoredObject]:
        start = {"StartAfter": after} if after else {}
        pages = client("s3").get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix, **start)
        for page in pages:
            yield from _listed(page)

    def following(self, key: str, *, most: int = 1000) -> list[StoredObject]:
        try:
            start: dict[str, Any] = {"PaginationConfig": {"PageSize": most}} | ({"StartAfter": key} if key else {})
            # A page may come empty though more follow it.
            for page in client("s3").get_paginator("list_objects_v2").paginate(Bucket=self.bucket, **start):
                if found := list(_listed(page)):
                    return found
        except ClientError as error:
            attempt = f"list s3://{self.bucket}"
            if code_of(error) == "AccessDenied":
                raise InvalidInputError(f"{attempt}: AccessDenied") from error
            raise translated(error, attempt) from error
        except UNANSWERED as error:
            raise TransientError(f"list s3://{self.bucket}: {error}") from error
        return []

    def children(self, prefix: str) -> list[str]:
        pages = client("s3").get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix, Delimiter="/")
        names = []
        for page in pages:
            names += [item["Prefix"].removeprefix(prefix) for item in page.get("CommonPrefixes", [])]
            names += [item["Key"].removeprefix(prefix) for item in page.get("Contents", [])]
        return [name for name in names if name]

    def has_open_upload(self, prefix: str) -> bool:
        answer = client("s3").list_multipart_uploads(Bucket=self.bucket, Prefix=prefix, MaxUploads=1)
        return bool(answer.get("Uploads"))

    def head(self, key: str) -> str | None:
        found = self.version(key)
        return found.etag if found else None

    def version(self, key: str) -> ObjectVersion | None:
        try:
            answer = client("s3").head_object(Bucket=self.bucket, Key=key)
        except ClientError as error:
            meant = translated(error, f"look at s3://{self.bucket}/{key}")
            if isinstance(meant, NotFoundError):
                return None
            raise meant from error
        return ObjectVersion(answer["ETag"].strip('"'), answer.get("VersionId"), answer["LastModified"])

    def read(self, key: str, *, limit: int | None = None) -> StoredBytes:
        try:
            answer = client("s3").get_object(Bucket=self.bucket, Key=key)
            size = int(answer["ContentLength"])
            with closing(answer["Body"]) as stream:
                body = stream.read() if limit is None or size <= limit else b""
        except ClientError as error:
            raise translated(error, f"read s3://{self.bucket}/{key}") from error
        except UNANSWERED as error:
            raise TransientError(f"read s3://{self.bucket}/{key}: {error}") from error
        version = answer.get("VersionId")
        return StoredBytes(body, answer["ETag"].strip('"'), version, answer.get("ContentType", ""), size)

    def pieces(self, key: str) -> Iterator[bytes]:
        try:
            body = client("s3").get_object(Bucket=self.bucket, Key=key)["Body"]
        except ClientError as error:
            raise translated(error, f"read s3://{self.bucket}/{key}") from error
        with closing(body):
            yield from body.iter_chunks(_PIECE)

    def write(
        self,
        key: str,
        body: bytes,
        *,
        if_match: str | None = None,
        if_absent: bool = False,
        content_type: str = "application/json",
    ) -> bool:
        condition = {"IfMatch": if_match} if if_match is not None else {"IfNoneMatch": "*"} if if_absent else {}
        try:
            client("s3").put_object(Bucket=self.bucket, Key=key, Body=body, ContentType=content_type, **condition)
        except ClientError as error:
            # 409 is a conditional write that lost against another one in flight; 404 an If-Match on a deleted object.
            if condition and code_of(error) in {"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey", "412"}:
                return False
            raise translated(error, f"write s3://{self.bucket}/{key}") from error
        return True

    def delete(self, key: str) -> None:
        client("s3").delete_object(Bucket=self.bucket, Key=key)


def _listed(page: Mapping[str, Any]) -> Iterator[StoredObject]:
    for item in page.get("Contents", []):
        yield StoredObject(item["Key"], item["ETag"].strip('"'), item["Size"], item["LastModified"])
