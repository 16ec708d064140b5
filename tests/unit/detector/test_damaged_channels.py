"""Whatever happens to a channel's bytes, loading it ends: with samples or with a sentence."""

import json
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st
from unit.detector.written_channels import attribute_bytes, drawn, fed_pipe, record_bytes, write_pair

from detector.channel import load_channel, shrunk
from detector.channels.input_configuration import ChannelFormat
from dropspot.errors import InvalidInputError

PICTURES = drawn(3)
RECORDS, ATTRIBUTES = record_bytes(PICTURES), attribute_bytes(PICTURES)
ANNOTATION = json.dumps({"file": "one.jpg", **PICTURES[0].annotation}).encode()
Damage = Callable[[bytes], bytes]

FIT = partial(shrunk, largest_short_side=40)

# Most of a file is pixels: half of the flips hit the front, where the framing, the label and the JPEG's head are.
flips = st.lists(st.tuples(st.one_of(st.integers(0, 120), st.integers(0)), st.integers(0, 7)), max_size=6)
damages = st.tuples(flips, st.one_of(st.none(), st.integers(0)))


def damaged(content: bytes, damage: tuple[list[tuple[int, int]], int | None]) -> bytes:
    """The content with some bits flipped, and cut off somewhere."""
    changed = bytearray(content)
    for place, bit in damage[0]:
        changed[place % len(changed)] ^= 1 << bit
    return bytes(changed if damage[1] is None else changed[: damage[1] % len(changed)])


def ends(folder: Path, channel_format: ChannelFormat) -> None:
    try:
        samples = load_channel(folder, 2, FIT, 1, label_width=350, channel_format=channel_format)
    except InvalidInputError as error:
        sentence = str(error)
    else:
        assert all(((sample.labels[:, 1:] >= 0) & (sample.labels[:, 1:] <= 1)).all() for sample in samples)
        return
    assert "\n" not in sentence
    assert "channel train" in sentence


@settings(max_examples=150, deadline=None)
@given(damages)
@example(([(35, 0), (35, 1), (35, 2), (35, 3), (35, 4), (35, 5), (34, 7)], None))  # an infinite header width
def test_damaged_record_files_end(damage: tuple[list[tuple[int, int]], int | None]) -> None:
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "train"
        folder.mkdir()
        (folder / "train.rec").write_bytes(damaged(RECORDS, damage))
        ends(folder, ChannelFormat.RECORD_FILES)


@settings(max_examples=80, deadline=None)
@given(damages, st.booleans())
def test_damaged_pipes_end(damage: tuple[list[tuple[int, int]], int | None], attributes: bool) -> None:
    content, channel_format = (
        (ATTRIBUTES, ChannelFormat.PIPED_ATTRIBUTES) if attributes else (RECORDS, ChannelFormat.PIPED_RECORDS)
    )
    with tempfile.TemporaryDirectory() as root, fed_pipe(Path(root) / "train", damaged(content, damage)):
        ends(Path(root) / "train", channel_format)


@settings(max_examples=150, deadline=None)
@given(damages)
def test_damaged_annotations_end(damage: tuple[list[tuple[int, int]], int | None]) -> None:
    with tempfile.TemporaryDirectory() as root:
        folder, documents = Path(root) / "train", Path(root) / "train_annotation"
        write_pair(folder, documents, "one", PICTURES[0])
        (documents / "one.json").write_bytes(damaged(ANNOTATION, damage))
        ends(folder, ChannelFormat.IMAGE_FILES)
