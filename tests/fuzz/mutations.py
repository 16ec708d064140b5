"""Ways to spoil bytes, each a function of a random generator and what is to be spoiled."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

MAGIC = (
    b"\xff\xd8\xff\xe1\0\x10Exif\0\0", b"\xff\xc0\0\x11\x08\xff\xff\xff\xff\x03", b"\x89PNG\r\n\x1a\n", b"IHDR",
    b"IDAT", b"acTL\0\0\0\x08", b"eXIf", b"GIF89a\xff\xff\xff\xff", b"RIFF\xff\xff\xff\xffWEBPVP8X", b"II*\0\x08\0\0\0",
    b"MM\0*\0\0\0\x08", b"BM", b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"\x1f\x8b\x08\0", b"ustar\0" + b"00",
    b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]>", b"<!ENTITY lol '&lol;&lol;'>", b"&lol;", b"<![CDATA[",
    b"<?xml version='1.0' encoding='utf-16'?>", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\0", b"\xed\xa0\x80",
    b"\\ud800", b"NaN", b"Infinity", b"1e999", b"null", b"true", b"[" * 3000, b'{"a":' * 3000, b"---\n", b"&a [*a]",
    b"!!python/object/apply:os.system ['false']", b"<<: *a", b"../../etc/passwd", b"/etc/passwd", b"s3://", b"\r\n",
    "\N{LATIN SMALL LETTER E WITH ACUTE}e\N{COMBINING ACUTE ACCENT}\N{RIGHT-TO-LEFT OVERRIDE}".encode(),
)  # fmt: skip
NUMBERS = (
    b"0", b"-1", b"1", b"2", b"-0.0", b"0.5", b"1e308", b"-1e308", b"1e-320", b"65536", b"2147483648", b"4294967295",
    b"18446744073709551616", b"9" * 400, b"0x10", b"1_000", b"nan", b"inf", b'"7"', b"[]", b"{}", b"",
)  # fmt: skip
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")
_WORD = re.compile(rb"[A-Za-z_/-]{3,}")


def _place(rng: random.Random, data: bytes) -> int:
    """Anywhere, the beginning more often: that is where headers are."""
    return rng.randrange(min(len(data), 64)) if rng.random() < 0.3 else rng.randrange(len(data))


def flip_bits(rng: random.Random, data: bytes, _others: Sequence[bytes]) -> bytes:
    spoilt = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        spoilt[_place(rng, data)] ^= 1 << rng.randrange(8)
    return bytes(spoilt)


def overwrite(rng: random.Random, data: bytes, _others: Sequence[bytes]) -> bytes:
    at, value = _place(rng, data), rng.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\xff", b"\x80"))
    return data[:at] + value + data[at + len(value) :]


def truncate(rng: random.Random, data: bytes, _others: Sequence[bytes]) -> bytes:
    return data[: rng.choice((rng.randrange(len(data)), max(0, len(data) - rng.randrange(1, 40))))]


def cut_out(rng: random.Random, data: bytes, _others: Sequence[bytes]) -> bytes:
    at = _place(rng, data)
    return data[:at] + data[at + rng.randrange(1, 64) :]


def duplicate(rng: random.Random, data: bytes, _others: Sequence[bytes]) -> bytes:
    at, length = _place(rng, data), rng.choice((1, 16, 200, len(data)))
    return data[:at] + data[at : at + length] * rng.choice((2, 3, 50)) + data[at + length :]


def insert_magic(rng: random.Random, data: bytes, _others: Sequence[bytes]) -> bytes:
    at = rng.choice((0, _place(rng, data), len(data)))
    return data[:at] + rng.choice(MAGIC) + data[at:]


def splice(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    other = rng.choice(others)
    return data[: _place(rng, data)] + other[rng.randrange(len(other) + 1) :]


def odd_number(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    found = list(_NUMBER.finditer(data))
    if not found:
        return flip_bits(rng, data, others)
    one = rng.choice(found)
    return data[: one.start()] + rng.choice(NUMBERS) + data[one.end() :]


def every_number(rng: random.Random, data: bytes, _others: Sequence[bytes]) -> bytes:
    value, share = rng.choice(NUMBERS), rng.choice((0.2, 1.0))
    return _NUMBER.sub(lambda found: value if rng.random() < share else found[0], data)


def exchange_words(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    found = list(_WORD.finditer(data))
    if not found:
        return flip_bits(rng, data, others)
    one, other = rng.choice(found), rng.choice(found)
    word = rng.choice((other[0], b"", one[0].upper(), rng.choice(MAGIC)[:40]))
    return data[: one.start()] + word + data[one.end() :]


def exchange_brackets(rng: random.Random, data: bytes, _others: Sequence[bytes]) -> bytes:
    table = bytes.maketrans(
        *rng.choice(((b"[]", b"{}"), (b"{}", b"[]"), (b"<>", b"><"), (b'",', b"',"), (b":,", b",:")))
    )
    at = _place(rng, data)
    end = rng.choice((len(data), at + 200))
    return data[:at] + data[at:end].translate(table) + data[end:]


def empty(_rng: random.Random, _data: bytes, _others: Sequence[bytes]) -> bytes:
    return b""


def noise(rng: random.Random, data: bytes, _others: Sequence[bytes]) -> bytes:
    return rng.randbytes(rng.choice((1, 64, len(data))))


Mutation = Callable[[random.Random, bytes, Sequence[bytes]], bytes]
BINARY: tuple[Mutation, ...] = (flip_bits, flip_bits, overwrite, truncate, cut_out, duplicate, insert_magic, splice)
TEXT: tuple[Mutation, ...] = (odd_number, odd_number, every_number, exchange_words, exchange_brackets)
RARE: tuple[Mutation, ...] = (empty, noise)


def mutate(rng: random.Random, data: bytes, others: Sequence[bytes], *, is_text: bool) -> tuple[bytes, str]:
    """Spoil the bytes one to three times; also the names of what was done."""
    done = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if not data:
            break
        choice = RARE if rng.random() < 0.03 else TEXT if is_text and rng.random() < 0.6 else BINARY
        mutation = rng.choice(choice)
        data = mutation(rng, data, others)[:200_000]
        done.append(mutation.__name__)
    return data, "+".join(done)
