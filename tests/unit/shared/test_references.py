"""What manifests refer to outside their data set's folder: which references are followed, and what becomes of them."""

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropspot import references
from dropspot.datasets import Listing, StoredObject, of_the_folder, prefix_of
from dropspot.errors import InvalidInputError
from dropspot.preparation import PreparationSettings, processing_job_request
from dropspot.references import list_document, with_references
from dropspot.runs import Run
from dropspot.settings import DataSettings
from dropspot.testing import MemoryServices, MemoryStore, assert_valid_request, memory_services

OBJECT = {"image_size": [{"width": 4, "height": 4, "depth": 3}], "annotations": []}


def services(*buckets: str) -> MemoryServices[DataSettings]:
    world = memory_services(DataSettings("dropspot", "data", "dropspot-endpoint", ("extra", "more")))
    for bucket in ("extra", *buckets):
        world.store.create(bucket)
    return world


def manifest(*refs: object) -> bytes:
    return b"".join(json.dumps({"source-ref": ref, "labels": OBJECT}).encode() + b"\n" for ref in refs)


def resolved(world: MemoryServices[DataSettings], layout: str = "auto", **files: bytes) -> Listing:
    """Return the data set's listing with its references, after the files were put into its folder."""
    for name, body in files.items():
        world.store.put(f"datasets/pets/{name}", body)
    return with_references(world, Listing.of("pets", world.store.objects(prefix_of("pets"))), layout)


def uris(listing: Listing) -> list[str]:
    return [str(entry["uri"]) for entry in listing.document if "uri" in entry]


def test_a_reference_elsewhere_in_the_bucket_and_one_to_an_extra_bucket_are_followed() -> None:
    world = services()
    etag = world.store.put("images/a b+c/été.jpg", b"one")
    world.store.sibling("extra").put("photos/b.jpg", b"three")
    refs = ["s3://extra/photos/b.jpg", "s3://data/images/a b+c/été.jpg", "s3://data/datasets/pets/own.jpg", "own.jpg"]
    listing = resolved(world, **{"labels.manifest": manifest(*refs), "own.jpg": b"own"})
    assert {bucket: [o.key for o in objects] for bucket, objects in listing.references.items()} == {
        "data": ["images/a b+c/été.jpg"],
        "extra": ["photos/b.jpg"],
    }
    assert listing.document[-2] == {"uri": "s3://data/images/a b+c/été.jpg", "etag": etag, "size": 3}
    assert [entry["key"] for entry in of_the_folder(listing.document)] == ["labels.manifest", "own.jpg"]


@pytest.mark.parametrize("name", ["a.manifest", "deep/er/output.MANIFEST", "a.jsonl", "a.json"])
def test_a_manifest_is_told_by_its_ending_and_its_first_lines(name: str) -> None:
    world = services()
    world.store.sibling("extra").put("a.jpg", b"a")
    body = b"\n" + b"{broken\n" * 99 + manifest("s3://extra/a.jpg")
    assert uris(resolved(world, **{name: body})) == ["s3://extra/a.jpg"]


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("a.txt", manifest("s3://extra/a.jpg")),
        ("training.json", manifest("s3://extra/a.jpg")),
        ("coco.json", b'{"images": [\n' + b"{},\n" * 99 + manifest("s3://extra/a.jpg")),
        ("large.json", b"[" * 10_000_000 + b"\n" + manifest("s3://extra/a.jpg")),
        ("list.json", b"[1]"),
        ("empty.manifest", b""),
        ("binary.manifest", bytes(range(256)) * 9),
        ("nested.json", b"[" * 100_000),
        ("text.manifest", manifest(7)),
    ],
)
def test_what_does_not_begin_as_a_manifest_is_not_read_as_one(name: str, body: bytes) -> None:
    world = services()
    world.store.sibling("extra").put("a.jpg", b"a")
    assert uris(resolved(world, **{name: body})) == []


def test_a_broken_line_costs_its_own_reference_alone() -> None:
    world = services()
    for name in "ab":
        world.store.sibling("extra").put(name, b"a")
    first, second = manifest("s3://extra/a"), manifest("s3://extra/b")
    body = "\ufeff".encode() + first.replace(b"\n", b"\r\n") + b'{"source-ref": \n\xff\n{}\n' + second
    assert uris(resolved(world, **{"x.manifest": body})) == ["s3://extra/a", "s3://extra/b"]


@pytest.mark.parametrize("layout", ["voc", "coco", "yolo", "sagemaker-json"])
def test_a_plan_that_asks_for_another_layout_leaves_manifests_unread(layout: str) -> None:
    assert uris(resolved(services(), layout, **{"x.manifest": manifest("s3://foreign/a.jpg")})) == []


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("s3://foreign/a.jpg", "x.manifest refers to the bucket foreign, which the parameter ExtraDataBuckets"),
        ("s3://data/runs/x-0123456789/prepared/a.jpg", "s3://data/runs/, which is for what the pipeline writes"),
        ("s3://data/detections/a.jpg.json", "s3://data/detections/, which"),
        ("s3://data/endpoint/champion.json", "s3://data/endpoint/, which"),
        ("s3://extra/missing.jpg", "x.manifest refers to s3://extra/missing.jpg, which doesn't exist"),
        ("https://example.org/a.jpg", "https://example.org/a.jpg, which is no object of S3"),
        ("s3://extra/", "s3://extra/, which is no object of S3"),
        ("s3://extra/a/../../b.jpg", "can't be a file's path"),
        ("s3://extra/a//b.jpg", "can't be a file's path"),
        ("s3://extra/folder/", "can't be a file's path"),
        (f"s3://extra/{'x' * 256}", "can't be a file's path"),
        ("s3://extra/\ud800", "s3://extra/?, which can't be a file's path"),
        ("s3://\udfff/a.jpg", "the bucket ?, which"),
    ],
)
def test_a_data_set_none_of_whose_references_can_be_followed_is_refused(reference: str, said: str) -> None:
    with pytest.raises(InvalidInputError, match=r"^no picture can be reached: x\.manifest refers to ") as refused:
        resolved(services(), **{"x.manifest": manifest(reference)})
    assert said in str(refused.value)
    assert str(refused.value).encode()


@pytest.mark.parametrize("other", ["own.jpg", "s3://data/datasets/pets/deep/own.jpg", "s3://extra/there.jpg"])
def test_references_that_cannot_be_followed_are_left_to_the_container_where_any_other_can(other: str) -> None:
    world = services()
    world.store.sibling("extra").put("there.jpg", b"a")
    unreachable = ["s3://foreign/a.jpg", "s3://data/runs/a.jpg", "s3://extra/missing.jpg", "ftp://x/y"]
    listing = resolved(world, **{"x.manifest": manifest(*unreachable, other)})
    assert uris(listing) == [uri for uri in [other] if uri.startswith("s3://extra")]


def test_a_bucket_that_is_named_and_not_there_is_told() -> None:
    with pytest.raises(InvalidInputError, match="can't be looked up: list s3://more: NoSuchBucket"):
        resolved(services(), **{"x.manifest": manifest("own.jpg", "s3://more/a.jpg")})


def test_an_object_that_would_be_a_folder_of_others_is_left_out() -> None:
    world = services()
    for key in ("a", "a/b", "a/b/c", "a-b", "d/e"):
        world.store.sibling("extra").put(key, b"a")
    listing = resolved(
        world, **{"x.manifest": manifest(*(f"s3://extra/{key}" for key in ("a", "a/b", "a/b/c", "a-b", "d/e")))}
    )
    assert uris(listing) == ["s3://extra/a-b", "s3://extra/a/b/c", "s3://extra/d/e"]


def test_annotations_of_single_pictures_are_not_opened_one_by_one() -> None:
    world = services()
    world.store.sibling("extra").put("a.jpg", b"a")
    opened: list[str] = []
    pieces = world.store.pieces

    def counted(key: str) -> Any:
        opened.append(key)
        return pieces(key)

    world.store.pieces = counted  # type: ignore[method-assign]
    for number in range(101):
        world.store.put(f"datasets/pets/{number}.json", b"{}")
    assert uris(resolved(world, **{"x.manifest": manifest("s3://extra/a.jpg")})) == ["s3://extra/a.jpg"]
    assert opened == ["datasets/pets/x.manifest"]


@pytest.mark.parametrize(
    ("limit", "value", "said"),
    [
        ("MAX_REFERENCES", 2, "x.manifest brings the pictures outside the data set's folder above 2, the limit"),
        ("MAX_BYTES", 100, "x.manifest brings the manifests above 0 MiB, the limit"),
        ("MAX_FILES", 1, "2 manifests lie in the data set's folder: the limit is 1"),
        ("MAX_PAGES", 0, "3 objects lie too far apart in s3://extra: put them into one folder"),
    ],
)
def test_a_limit_is_told_in_one_sentence(monkeypatch: pytest.MonkeyPatch, limit: str, value: int, said: str) -> None:
    monkeypatch.setattr(references, limit, value)
    body = manifest(*(f"s3://extra/{number}.jpg" for number in range(3)))
    with pytest.raises(InvalidInputError, match=said):
        resolved(services(), **{"x.manifest": body, "y.jsonl": b""})


def cut(body: bytes, sizes: Iterable[int]) -> Iterable[bytes]:
    start = 0
    for size in sizes:
        yield body[start : start + size]
        start += size
    yield body[start:]


@given(lines=st.lists(st.binary(max_size=12).filter(lambda line: b"\n" not in line)), sizes=st.lists(st.integers(0, 9)))
def test_lines_are_the_same_however_the_bytes_come(lines: list[bytes], sizes: list[int]) -> None:
    found = list(references._lines(cut(b"\n".join(lines), sizes)))
    assert found == [line for line in lines if line.strip()]


def test_a_line_without_end_costs_no_memory_and_hides_no_other() -> None:
    piece = b"x" * 400_000
    lines = references._lines([b"first\n", *[piece] * 30, b"\nlast\n", *[piece] * 30])
    assert [len(line) < 100 for line in lines] == [True] * 4


def test_a_file_with_one_endless_line_is_not_read_to_its_end() -> None:
    world, read = services(), []

    def endless(key: str) -> Any:
        for number in range(100):
            read.append(number)
            yield b"x" * 1024 * 1024

    world.store.put("datasets/pets/coco.json", b"")
    world.store.pieces = endless  # type: ignore[method-assign]
    assert uris(resolved(world)) == []
    assert len(read) < 12


class Paged(MemoryStore):
    """A bucket whose pages hold few objects; `pages` counts them."""

    size = 3
    pages = 0

    def following(self, key: str, *, most: int = 1000) -> list[StoredObject]:
        self.pages += 1
        return super().following(key)[: self.size]


KEYS = st.sets(st.text("ab/é猫", min_size=1, max_size=4), max_size=30)


@given(stored=KEYS, wanted=KEYS.filter(bool), size=st.integers(1, 5))
def test_what_is_wanted_and_there_is_found_in_few_pages(stored: set[str], wanted: set[str], size: int) -> None:
    store = Paged()
    store.size = size
    for key in stored:
        store.put(key, b"")
    found = [o.key for o in references._listed(store, wanted)]
    assert found == sorted(stored & wanted)
    assert store.pages <= len(stored) // size + len(wanted) + 1


def test_stretches_without_a_wanted_object_are_leapt_over() -> None:
    store = Paged()
    for number in range(1000):
        store.put(f"images/{number:04}.jpg", b"")
    wanted = {"images/0007.jpg", "images/0500.jpg", "images/0501.jpg", "images/0999.jpg"}
    assert {o.key for o in references._listed(store, wanted)} == wanted
    assert store.pages == 3


@pytest.mark.parametrize(("stated", "buckets"), [("", ()), ("extra", ("extra",)), ("a-1,b.2", ("a-1", "b.2"))])
def test_the_buckets_are_told_in_one_variable(stated: str, buckets: tuple[str, ...]) -> None:
    common = {"APP_NAME": "dropspot", "BUCKET_NAME": "data", "ENDPOINT_NAME": "dropspot-endpoint"}
    assert DataSettings.from_env({**common, "EXTRA_DATA_BUCKETS": stated}).extra_data_buckets == buckets


SETTINGS = PreparationSettings(
    "dropspot", "data", "dropspot-endpoint", ("extra",), "prep:1", "ml.m5.xlarge",
    "arn:aws:iam::000000000000:role/sagemaker-role", "built-in", {},
)  # fmt: skip


def request_for(listing: Listing) -> dict[str, Any]:
    run = Run.of("dropspot", "data", listing, "plan")
    request = processing_job_request(run, listing, SETTINGS)
    assert_valid_request("sagemaker", "CreateProcessingJob", request)
    return request


def test_each_bucket_is_one_input_of_the_job() -> None:
    world = services("more")
    for bucket in ("extra", "more"):
        world.store.sibling(bucket).put("p/a.jpg", b"a")
    world.store.put("images/a.jpg", b"a")
    refs = ["s3://more/p/a.jpg", "s3://extra/p/a.jpg", "s3://data/images/a.jpg"]
    listing = resolved(world, **{"x.manifest": manifest(*refs)})
    run = Run.of("dropspot", "data", listing, "plan")
    inputs = {i["InputName"]: i["S3Input"] for i in request_for(listing)["ProcessingInputs"]}
    assert list(inputs) == ["dataset", "plan", "references-1", "references-2", "references-3"]
    for name, bucket in (("references-1", "data"), ("references-2", "extra"), ("references-3", "more")):
        assert inputs[name] == {
            "S3Uri": f"s3://data/runs/{run.run_id}/references/{bucket}.json",
            "LocalPath": f"/opt/ml/processing/input/references/{bucket}",
            "S3DataType": "ManifestFile",
            "S3InputMode": "File",
            "S3DataDistributionType": "FullyReplicated",
        }
    assert list_document("extra", listing.references["extra"]) == [{"prefix": "s3://extra/"}, "p/a.jpg"]


def test_the_container_is_told_where_the_data_set_lies_and_where_the_prepared_data_go() -> None:
    listing = Listing("my pets", ())
    run = Run.of("dropspot", "data", listing, "plan")
    assert request_for(listing)["Environment"] == {
        "DROPSPOT_DATASET_URI": "s3://data/datasets/my pets/",
        "DROPSPOT_PREPARED_URI": f"s3://data/runs/{run.run_id}/prepared/",
    }


def test_a_name_that_is_too_long_for_a_variable_is_left_out() -> None:
    assert list(request_for(Listing("x" * 300, ()))["Environment"]) == ["DROPSPOT_PREPARED_URI"]


def test_a_reference_that_changes_makes_another_run() -> None:
    world = services()
    extra = world.store.sibling("extra")
    extra.put("a.jpg", b"one")
    before = resolved(world, **{"x.manifest": manifest("s3://extra/a.jpg")})
    extra.put("a.jpg", b"two")
    after = resolved(world)
    assert Run.of("dropspot", "data", before, "") != Run.of("dropspot", "data", after, "")
    assert (
        replace(before, references={}).document
        == replace(after, references={}).document
        == of_the_folder(after.document)
    )
