"""What a folder of a build holds for which machine and Python, read from the files themselves."""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MACHINES = {0x3E: "x86_64", 0xB7: "aarch64"}


@dataclass(frozen=True, order=True)
class Binary:
    """One ELF file: its path, its machine, and its Python ("cp313"), empty for a plain library or abi3."""

    path: str
    machine: str
    python: str


def binaries(folder: Path) -> Iterator[Binary]:
    """Yield every ELF file below the folder, whatever its name."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and (machine := elf_machine(path)):
            tag = re.search(r"\.cpython-(\d+)[^/]*\.so$", path.name)
            yield Binary(str(path.relative_to(folder)), machine, f"cp{tag[1]}" if tag else "")


def elf_machine(path: Path) -> str | None:
    """Return the machine of an ELF file, None for any other file."""
    with path.open("rb") as file:
        head = file.read(20)
    if len(head) < 20 or head[:4] != b"\x7fELF":
        return None
    number = struct.unpack_from("<H" if head[5] == 1 else ">H", head, 18)[0]  # e_machine, in the file's own byte order
    return MACHINES.get(number, hex(number))
