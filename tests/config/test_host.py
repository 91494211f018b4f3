"""The machine itself, and the sources read from it."""

from __future__ import annotations

import os
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from geuwsgi.config.host import SourceError, SystemHost
from geuwsgi.config.sources import Source, parse_source, read_source

HOST = SystemHost({"A": "1"})


def test_files_are_read_and_missing_ones_told(tmp_path: Path) -> None:
    file = tmp_path / "a.ini"
    file.write_bytes(b"text\xff")
    assert read_source(str(file), HOST) == b"text\xff"
    with pytest.raises(SourceError, match="No such file or directory"):
        read_source(str(tmp_path / "gone"), HOST)
    with pytest.raises(SourceError, match="null byte"):
        read_source("a\0b", HOST)


def test_paths_are_known(tmp_path: Path) -> None:
    file = tmp_path / "a.ini"
    file.touch()
    (tmp_path / "link").symlink_to(file)
    assert HOST.real_path(str(tmp_path / "link")) == os.path.realpath(file)
    assert HOST.inode(str(file)) == file.stat().st_ino
    assert HOST.is_file(str(file))
    assert HOST.is_directory(str(tmp_path))
    assert HOST.exists(str(tmp_path))
    assert HOST.glob(f"{tmp_path}/*.ini") == [str(file)]
    with pytest.raises(SourceError):
        HOST.real_path(str(tmp_path / "gone"))
    with pytest.raises(SourceError):
        HOST.inode(str(tmp_path / "gone"))


def test_commands_are_run_by_the_shell() -> None:
    assert read_source("exec://echo $((1 + 1))", HOST) == b"2\n"
    with pytest.raises(SourceError, match="command 'exit 3' failed"):
        read_source("exec://exit 3", HOST)


def test_descriptors_are_read_and_left_open(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"text")
    descriptor = os.open(tmp_path / "f", os.O_RDONLY)
    try:
        assert read_source(f"fd://{descriptor}", HOST) == b"text"
        os.fstat(descriptor)
    finally:
        os.close(descriptor)
    with pytest.raises(SourceError, match="Bad file descriptor"):
        read_source("fd://9999", HOST)
    with pytest.raises(SourceError, match="does not name a descriptor"):
        read_source("fd://x", HOST)


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/a.ini" else 404)
        self.end_headers()
        self.wfile.write(b"[uwsgi]\n")

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


def test_files_are_fetched_over_http() -> None:
    server = HTTPServer(("127.0.0.1", 0), _Page)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        address = f"http://127.0.0.1:{server.server_port}"
        assert read_source(f"{address}/a.ini", HOST) == b"[uwsgi]\n"
        with pytest.raises(SourceError, match="404"):
            read_source(f"{address}/gone", HOST)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("place", ["127.0.0.1:1", "127.0.0.1"])
def test_a_password_in_a_url_is_refused_and_not_told(place: str) -> None:
    with pytest.raises(SourceError, match="passwords in URLs are not sent") as caught:
        read_source(f"http://joe:sesame@{place}/a.ini", HOST)
    assert f"http://***@{place}/a.ini" in str(caught.value)
    assert "sesame" not in str(caught.value)


def test_an_answer_that_is_no_http_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            visitor, _ = server.accept()
            with visitor:
                visitor.recv(65536)
                visitor.sendall(b"garbage\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/a.ini?token=sesame"
        with pytest.raises(SourceError, match="cannot fetch") as caught:
            read_source(url, HOST)
        thread.join()
    assert "sesame" not in str(caught.value)


def test_names_are_resolved() -> None:
    assert HOST.resolve("localhost") == "127.0.0.1"
    with pytest.raises(SourceError, match="cannot resolve"):
        HOST.resolve("a" * 70 + ".invalid")


def test_the_machine_tells_about_itself() -> None:
    assert HOST.user_name(0) == "root"
    assert HOST.user_name(4_000_000) == "4000000"
    assert HOST.group_name(0) in ("root", "wheel")
    assert HOST.group_name(4_000_000) == "4000000"
    assert HOST.somaxconn() >= 0
    assert HOST.cpu_count >= 1
    assert HOST.hostname
    assert not HOST.is_reload


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("a.ini", ("a.ini", "", "ini")),
        ("a.ini:web", ("a.ini", "web", "ini")),
        (":web", ("", "web", "")),
        ("/x/a.YML", ("/x/a.YML", "", "yaml")),
        ("http://h:80/a.json", ("http://h:80/a.json", "", "json")),
        ("http://h/a.ini:s", ("http://h/a.ini", "s", "ini")),
        ("fd://3", ("fd://3", "", "")),
        ("fd://3:web", ("fd://3", "web", "")),
        ("-", ("-", "", "")),
        ("noext", ("noext", "", "")),
    ],
)
def test_a_source_has_a_name_a_section_and_a_format(
    text: str, source: tuple[str, str, str]
) -> None:
    assert parse_source(text) == Source(*source)
