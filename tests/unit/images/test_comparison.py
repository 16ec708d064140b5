"""Images and documents side by side, whatever their keys are."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropspot import comparison
from dropspot.comparison import Pair, orphans, pairs
from dropspot.datasets import StoredObject
from dropspot.images import ImageRef
from dropspot.testing import MemoryStore

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
KEYS = st.text(st.sampled_from("a./-+ é\n~"), min_size=1, max_size=5).filter(lambda key: not key.endswith("/"))


@given(images=st.sets(KEYS, max_size=30), documents=st.sets(KEYS, max_size=30), page=st.integers(1, 4))
def test_every_image_meets_its_document_and_every_orphan_is_found(
    images: set[str], documents: set[str], page: int
) -> None:
    images = {key for key in images if not key.rpartition("/")[2].startswith("._")}
    documents = {key for key in documents if not key.rpartition("/")[2].startswith("._")}
    store = MemoryStore()
    for key in images:
        store.put(f"images/{key}", b"x")
    for key in documents:
        store.put(ImageRef("bucket", f"images/{key}").detections_key, b"{}")
    original, comparison._PAGE = comparison._PAGE, page
    try:
        found = list(pairs(store))
        lonely = [document.key for document in orphans(store)]
    finally:
        comparison._PAGE = original
    assert [pair.image.key for pair in found] == [f"images/{key}" for key in sorted(images)]
    assert {pair.image.key for pair in found if pair.document} == {f"images/{key}" for key in images & documents}
    assert all(
        pair.document.key == ImageRef("bucket", pair.image.key).detections_key for pair in found if pair.document
    )
    assert sorted(lonely) == sorted(f"detections/{key}.json" for key in documents - images)


def test_only_what_lies_below_the_prefix_and_behind_the_key_is_compared() -> None:
    store = MemoryStore()
    for name in ("a/1", "a/2", "a/3", "b/1"):
        store.put(f"images/{name}", b"x")
        store.put(f"detections/{name}.json", b"{}")
    store.put("detections/a/9.json", b"{}")
    store.put("detections/c/9.json", b"{}")
    store.put("detections/a/foreign.txt", b"")
    assert [pair.image.key for pair in pairs(store, "images/a/", after="images/a/1")] == ["images/a/2", "images/a/3"]
    assert [document.key for document in orphans(store, "images/a/")] == ["detections/a/9.json"]


def test_litter_and_keys_without_room_for_a_document_are_left_out() -> None:
    store = MemoryStore()
    for key in ("images/.DS_Store", "images/folder/", f"images/{'x' * 1015}", "images/a.jpg"):
        store.put(key, b"x")
    assert [pair.image.key for pair in pairs(store)] == ["images/a.jpg"]


@pytest.mark.parametrize(
    ("written", "before", "lags"),
    [
        (None, None, True),
        (-1, None, True),
        (0, None, False),
        (1, None, False),
        (1, 2, True),
        (3, 2, False),
        (-1, -2, True),
    ],
)
def test_an_image_lags_without_a_document_that_is_new_enough(
    written: int | None, before: int | None, lags: bool
) -> None:
    def at(seconds: int) -> datetime:
        return NOON + timedelta(seconds=seconds)

    image = StoredObject("images/a", "e", 1, NOON)
    document = None if written is None else StoredObject("detections/a.json", "e", 1, at(written))
    assert Pair(image, document).lags(None if before is None else at(before)) is lags
