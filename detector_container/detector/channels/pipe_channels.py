"""Channels in Pipe mode: RecordIO files as they are, and the attributes of an augmented manifest.

With RecordWrapperType None the pipe brings the bytes of the channel's .rec files. With RecordIO it brings, for each
line of an augmented manifest, the value of each of its AttributeNames in a RecordIO record of its own, in their order
(the developer guide's page "Augmented Manifest File Format for Pipe Mode Training": "recordio_formatted(s3://…/
image1.jpg)recordio_formatted("1")…"). For the Object Detection algorithm these are `source-ref`, the picture's bytes,
and the label attribute's JSON (its page, "Train with Augmented Manifest Image Format"). The names themselves don't
reach the container. Attributes that aren't listed, like the label's `-metadata`, aren't sent.
"""

from collections.abc import Iterator
from itertools import count

from detector.channels.annotations import AnnotationError, parse_annotation
from detector.channels.examples import Entries, Example, Unusable
from detector.channels.record_files import record_entry
from dropspot.errors import InvalidInputError
from dropspot.recordio import MAGIC, ByteStream, FramingError, read_payload


def read_piped_records(channel: str, stream: ByteStream) -> Entries:
    """Yield the records of the .rec files that a pipe brings.

    Raises InvalidInputError where no record comes, and where the framing breaks: how much would have come behind that
    can't be known.
    """
    for number, payload in enumerate(_payloads(channel, stream)):
        yield record_entry(f"record {number}", payload, None)


def read_piped_attributes(channel: str, stream: ByteStream) -> Entries:
    """Yield the pictures of an augmented manifest, of which a pipe brings picture, label, picture, label….

    Raises InvalidInputError where no record comes, where the framing breaks, and where a record holds RecordIO itself.
    """
    payloads = _payloads(channel, stream)
    for number in count():
        picture = next(payloads, None)
        if picture is None:
            return
        if picture.startswith(MAGIC):
            raise InvalidInputError(
                f"channel {channel}: record {2 * number} of the pipe holds RecordIO itself; .rec files are sent without"
                " RecordWrapperType"
            )
        yield _example(f"picture {number}", picture, next(payloads, None))


def _example(name: str, picture: bytes, label: bytes | None) -> Example | Unusable:
    if picture.lstrip()[:1] == b"{":
        return Unusable(
            name, "a label came in the picture's place: AttributeNames must be source-ref and then the label"
        )
    if label is None:
        return Unusable(name, "the pipe ended before its label")
    try:
        annotation = parse_annotation(label)
    except AnnotationError as error:
        return Unusable(name, str(error))
    return Example(name, annotation.labels, annotation.label_width, picture, None, annotation.size)


def _payloads(channel: str, stream: ByteStream) -> Iterator[bytes]:
    for number in count():
        try:
            payload = read_payload(stream)
        except FramingError as error:
            raise InvalidInputError(
                f"channel {channel}: the pipe cannot be read from record {number} on, because {error}"
            ) from error
        if payload is None and number == 0:
            raise InvalidInputError(f"channel {channel} is empty: its pipe ended without a record")
        if payload is None:
            return
        yield payload
