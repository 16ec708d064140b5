import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from dropspot.errors import TransientError
from dropspot_cli.downloads import check_archive, download

CONTENT = bytes(range(256)) * 4096  # 1 MiB


class Server(ThreadingHTTPServer):
    """Serves CONTENT under any path, with ranges; may break off, refuse, or change the file's version."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.etag = '"v1"'
        self.breaks_after: int | None = None
        self.status: int | None = None
        self.ranges: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/images.tar.gz"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.ranges.append(wanted)
        if self.server.status:
            self.send_error(self.server.status)
            return
        same = self.headers.get("If-Range", self.server.etag) == self.server.etag
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and same else 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.send_header("ETag", self.server.etag)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        end = len(CONTENT) if self.server.breaks_after is None else start + self.server.breaks_after
        self.wfile.write(CONTENT[start:end])

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_a_file_arrives_whole_and_its_size_is_told(server: Server, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    download(server.url, tmp_path / "a" / "images.tar.gz", lambda done, total: told.append((done, total)))
    assert (tmp_path / "a" / "images.tar.gz").read_bytes() == CONTENT
    assert told[0] == (0, len(CONTENT))
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["images.tar.gz"]


def test_a_broken_transfer_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "images.tar.gz"
    server.breaks_after = 300_000
    with pytest.raises(TransientError, match="run the same command again"):
        download(server.url, path)
    assert not path.exists()
    server.breaks_after = None
    download(server.url, path)
    assert path.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=300000-"]


def test_a_file_that_changed_meanwhile_is_fetched_from_its_beginning(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "images.tar.gz"
    path.with_name("images.tar.gz.part").write_bytes(b"old" * 1000)
    path.with_name("images.tar.gz.part-version").write_text('"v0"')
    download(server.url, path)
    assert path.read_bytes() == CONTENT


def test_a_part_that_is_longer_than_the_file_is_thrown_away(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "images.tar.gz"
    path.with_name("images.tar.gz.part").write_bytes(CONTENT + b"more")
    path.with_name("images.tar.gz.part-version").write_text(server.etag)
    download(server.url, path)
    assert path.read_bytes() == CONTENT


def test_a_part_of_unknown_version_is_not_trusted(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "images.tar.gz"
    path.with_name("images.tar.gz.part").write_bytes(b"of what?")
    download(server.url, path)
    assert server.ranges == [None]
    assert path.read_bytes() == CONTENT


def test_a_refusal_is_one_sentence_with_its_code(server: Server, tmp_path: Path) -> None:
    server.status = 503
    with pytest.raises(TransientError, match=r"answered 503 .*try again later"):
        download(server.url, tmp_path / "images.tar.gz")


def test_no_network_is_one_sentence(tmp_path: Path) -> None:
    with Server() as gone:
        url = gone.url
    with pytest.raises(TransientError, match="check the network and run the same command again"):
        download(url, tmp_path / "images.tar.gz")


def test_a_whole_archive_passes_and_a_damaged_one_is_removed(tmp_path: Path) -> None:
    path, member = tmp_path / "images.tar.gz", tmp_path / "cat.jpg"
    member.write_bytes(CONTENT)
    with tarfile.open(path, "w:gz") as archive:
        archive.add(member, "images/cat.jpg")
    assert check_archive(path) == 1
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(TransientError, match="damaged"):
        check_archive(path)
    assert not path.exists()
