from datetime import UTC, datetime

import pytest
from botocore.stub import Stubber

from dropspot import aws, documents
from dropspot.errors import InvalidInputError, NotFoundError
from dropspot.ports import ObjectStore
from dropspot.testing import MemoryStore

BUCKET = "the-bucket"
AWKWARD = "images/a b+c/100% été 猫.jpg"


@pytest.fixture
def store(side: str) -> ObjectStore:
    if side == "memory":
        return MemoryStore(BUCKET)
    aws.client("s3").create_bucket(Bucket=BUCKET)
    aws.client("s3").put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    return aws.S3Store(BUCKET)


def test_what_was_written_is_read(store: ObjectStore) -> None:
    assert store.write(AWKWARD, b"one")
    found = store.read(AWKWARD)
    assert (found.body, found.content_type) == (b"one", "application/json")
    assert found.version_id
    assert found.etag == store.head(AWKWARD) == "f97c5d29941bfb1b2fdab0874906ab82"


@pytest.mark.parametrize(("limit", "body"), [(None, b"three"), (5, b"three"), (4, b"")])
def test_an_object_above_the_limit_comes_without_its_body(store: ObjectStore, limit: int | None, body: bytes) -> None:
    store.write("a", b"three")
    found = store.read("a", limit=limit)
    assert (found.size, found.body, found.etag) == (5, body, store.head("a"))


def test_an_absent_object_has_no_etag_and_cannot_be_read(store: ObjectStore) -> None:
    assert store.head(AWKWARD) is None
    with pytest.raises(NotFoundError, match=f"read s3://{BUCKET}/nothing: NoSuchKey"):
        store.read("nothing")


def test_a_version_is_the_one_that_a_read_gives(store: ObjectStore) -> None:
    assert store.version(AWKWARD) is None
    store.write(AWKWARD, b"one")
    version, stored = store.version(AWKWARD), store.read(AWKWARD)
    assert version is not None
    assert (version.etag, version.version_id) == (stored.etag, stored.version_id)
    [listed] = store.objects(AWKWARD)
    assert (listed.etag, listed.modified.replace(microsecond=0)) == (version.etag, version.modified)
    store.write(AWKWARD, b"one")
    assert store.version(AWKWARD) != version


def test_a_listing_goes_on_behind_a_key(store: ObjectStore) -> None:
    for key in ("images/a", "images/a-b", "images/a.b", "images/é", "other"):
        store.write(key, b"x")
    assert [found.key for found in store.objects("images/", after="images/a-b")] == ["images/a.b", "images/é"]
    assert next(store.objects("images/", after="images/")).key == "images/a"
    assert list(store.objects("images/", after="images/é")) == []


def test_a_write_if_absent_succeeds_once(store: ObjectStore) -> None:
    assert store.write("a", b"first", if_absent=True)
    assert not store.write("a", b"second", if_absent=True)
    assert store.read("a").body == b"first"


def test_a_write_if_match_needs_the_content_that_was_read(store: ObjectStore) -> None:
    store.write("a", b"first")
    etag = store.read("a").etag
    assert store.write("a", b"second", if_match=etag)
    assert not store.write("a", b"third", if_match=etag)
    assert store.read("a").body == b"second"


def test_a_write_if_match_on_a_deleted_object_writes_nothing(store: ObjectStore) -> None:
    store.write("a", b"first")
    etag = store.read("a").etag
    store.delete("a")
    assert not store.write("a", b"second", if_match=etag)
    assert store.head("a") is None


def test_equal_bytes_have_equal_etags_and_versions_of_their_own(store: ObjectStore) -> None:
    store.write("a", b"same")
    first = store.read("a")
    store.write("a", b"same")
    second = store.read("a")
    assert first.etag == second.etag
    assert first.version_id != second.version_id


def test_deleting_what_is_not_there_is_no_error(store: ObjectStore) -> None:
    store.delete("nothing")
    store.write("a", b"1")
    store.delete("a")
    store.delete("a")
    assert store.head("a") is None


def test_objects_are_listed_by_prefix_in_the_order_of_their_bytes(store: ObjectStore) -> None:
    for key in ("b/2", "b/10", "b/é", "b/Z", "bb", "c"):
        store.write(key, key.encode())
    assert [found.key for found in store.objects("b/")] == ["b/10", "b/2", "b/Z", "b/é"]
    assert [found.key for found in store.objects("bb")] == ["bb"]
    assert list(store.objects("nothing/")) == []


def test_a_listed_object_states_what_identifies_it(store: ObjectStore) -> None:
    store.write("a", b"four")
    (found,) = store.objects("a")
    assert (found.etag, found.size) == (store.head("a"), 4)
    assert found.modified.tzinfo is not None
    assert found.modified < datetime(2100, 1, 1, tzinfo=UTC)


def test_more_objects_than_a_page_holds_are_all_listed(store: ObjectStore) -> None:
    for number in range(1005):
        store.write(f"many/{number:04}", b"")
    assert len(list(store.objects("many/"))) == 1005


def test_what_follows_a_key_comes_a_thousand_at_a_time(store: ObjectStore) -> None:
    keys = sorted(["a", *(f"many/{number:04}" for number in range(1002)), "z+é 猫", "é"])
    for key in keys:
        store.write(key, key.encode())
    found = [stored.key for stored in store.following("")]
    assert found == keys[:1000]
    assert [stored.key for stored in store.following(found[-1])] == keys[1000:]
    assert [stored.key for stored in store.following("many/100")] == keys[1001:]  # the key itself need not be there
    assert store.following(keys[-1]) == []
    assert [stored.key for stored in store.following("many/", most=3)] == keys[1:4]


def test_a_sibling_is_another_bucket(store: ObjectStore) -> None:
    if isinstance(store, MemoryStore):
        store.create("another")
    else:
        aws.client("s3").create_bucket(Bucket="another")
    another = store.sibling("another")
    assert another.bucket == "another"
    assert another.following("") == []
    another.write("a", b"there")
    assert store.head("a") is None
    assert [stored.key for stored in store.sibling("another").following("")] == ["a"]
    assert store.sibling(BUCKET).following("") == []


def test_a_bucket_that_is_not_there_is_not_found(store: ObjectStore) -> None:
    with pytest.raises(NotFoundError, match="list s3://nowhere: NoSuchBucket"):
        store.sibling("nowhere").following("")


def test_a_bucket_that_may_not_be_listed_is_refused(moto_cloud: None) -> None:
    with Stubber(aws.client("s3")) as stubber:
        stubber.add_client_error("list_objects_v2", "AccessDenied", http_status_code=403)
        with pytest.raises(InvalidInputError, match="list s3://theirs: AccessDenied"):
            aws.S3Store("theirs").following("")


def test_an_empty_page_is_not_taken_for_the_end(moto_cloud: None) -> None:
    stored = {"Key": "b", "ETag": '"e"', "Size": 1, "LastModified": datetime(2026, 1, 1, tzinfo=UTC)}
    with Stubber(aws.client("s3")) as stubber:
        stubber.add_response("list_objects_v2", {"IsTruncated": True, "NextContinuationToken": "t"})
        stubber.add_response("list_objects_v2", {"IsTruncated": False, "Contents": [stored]})
        assert [found.key for found in aws.S3Store("b").following("a")] == ["b"]


def test_an_object_is_read_in_pieces(store: ObjectStore) -> None:
    body = bytes(range(256)) * 10_000
    store.write(AWKWARD, body)
    pieces = list(store.pieces(AWKWARD))
    assert b"".join(pieces) == body
    assert max(map(len, pieces)) <= 1024 * 1024 < len(body)
    assert next(store.pieces(AWKWARD)) == pieces[0]
    with pytest.raises(NotFoundError, match=f"read s3://{BUCKET}/nothing: NoSuchKey"):
        next(store.pieces("nothing"))


def test_children_are_the_names_directly_below(store: ObjectStore) -> None:
    for key in ("runs/b/x.json", "runs/b/y/z.json", "runs/a/x.json", "runs/top.json", "runs/"):
        store.write(key, b"{}")
    assert sorted(store.children("runs/")) == ["a/", "b/", "top.json"]
    assert sorted(store.children("runs/b/")) == ["x.json", "y/"]
    assert store.children("nothing/") == []


def test_an_open_upload_is_seen_until_it_ends(store: ObjectStore) -> None:
    key = "datasets/pets/images.tar.gz"
    assert not store.has_open_upload("datasets/pets/")
    upload = ""
    if isinstance(store, MemoryStore):
        store.open_uploads.add(key)
    else:
        upload = aws.client("s3").create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
    assert store.has_open_upload("datasets/pets/")
    assert not store.has_open_upload("datasets/cats/")
    if isinstance(store, MemoryStore):
        store.open_uploads.remove(key)
    else:
        aws.client("s3").abort_multipart_upload(Bucket=BUCKET, Key=key, UploadId=upload)
    assert not store.has_open_upload("datasets/pets/")


def test_documents_are_replaced_only_as_they_were_read(store: ObjectStore) -> None:
    document, etag = documents.read_with_etag(store, "d.json")
    assert (document, etag) == (None, None)
    assert documents.replace(store, "d.json", {"n": 1}, etag)
    assert not documents.replace(store, "d.json", {"n": 2}, etag)
    document, etag = documents.read_with_etag(store, "d.json")
    assert document == {"n": 1}
    assert documents.replace(store, "d.json", {"n": 2}, etag)
    assert documents.read(store, "d.json") == {"n": 2}
