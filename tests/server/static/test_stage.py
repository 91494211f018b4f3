"""Static files, from the request to the response."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from geuwsgi.errors import ConfigError
from geuwsgi.server.static.answer import (
    FileAnswer,
    ServeMode,
    TwinRules,
    parse_serve_mode,
)
from geuwsgi.server.static.expires import ExpiresRules, type_rule
from geuwsgi.server.static.mime import MimeTable
from geuwsgi.server.static.stage import StaticFiles, StaticMap, parse_static_map
from geuwsgi.server.static.store import MAX_BODY, FileStore, Root


class RecordingExchange:
    """A request for ``path`` and the response it got."""

    def __init__(self, path: str, method: str = "GET", **fields: str) -> None:
        self.environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "REQUEST_URI": path,
            **{f"HTTP_{name.upper()}": value for name, value in fields.items()},
        }
        self.status = ""
        self.headers: list[tuple[str, str]] = []
        self.body = b""
        self.sent_from_files = 0

    def start_response(self, status: str, headers: list[tuple[str, str]], /) -> None:
        assert not self.status, "start_response was called twice"
        self.status = status
        self.headers = headers

    def write(self, body: bytes, /) -> None:
        assert self.status
        self.body += body

    def send_file(self, fd: int, offset: int, count: int, /) -> None:
        assert self.status
        piece = os.pread(fd, count, offset)
        assert len(piece) == count
        self.sent_from_files += count
        self.body += piece

    def header(self, name: str) -> str | None:
        found = [value for key, value in self.headers if key == name]
        assert len(found) < 2, f"{name} was sent twice"
        return found[0] if found else None


OLD = 1_700_000_000


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A directory with public and private files, all of them at rest since 2023."""
    public = tmp_path / "public"
    (public / "sub").mkdir(parents=True)
    (tmp_path / "public-private").mkdir()
    (tmp_path / "safe").mkdir()
    (public / "a.txt").write_bytes(b"0123456789")
    (public / "empty.txt").write_bytes(b"")
    (public / "big.bin").write_bytes(os.urandom(MAX_BODY + 1000))
    (public / "noext").write_bytes(b"x")
    (public / "x.php").write_bytes(b"<?php")
    (public / "é.txt").write_bytes(b"accent")
    (public / "sub" / "index.html").write_bytes(b"<p>index")
    (public / "sub" / "style.css").write_bytes(b"a{}")
    (tmp_path / "public-private" / "secret.txt").write_bytes(b"secret")
    (tmp_path / "safe" / "shared.txt").write_bytes(b"shared")
    (public / "to-secret.txt").symlink_to("../public-private/secret.txt")
    (public / "private").symlink_to("../public-private")
    (public / "shared.txt").symlink_to("../safe/shared.txt")
    (public / "inside.txt").symlink_to("a.txt")
    for path in tmp_path.rglob("*"):
        os.utime(path, (OLD, OLD))
    return tmp_path


def stage_of(
    *maps: StaticMap,
    index: tuple[str, ...] = (),
    skip_extensions: tuple[str, ...] = (),
    safe: tuple[str, ...] = (),
    use_document_root: bool = False,
    twins: TwinRules | None = None,
    expires: ExpiresRules | None = None,
    mode: ServeMode = ServeMode.SEND,
    trust_s: float = 1.0,
    clock_ns: Callable[[], int] = time.time_ns,
) -> StaticFiles:
    store = FileStore(
        MimeTable.from_texts([]).type_of,
        safe=safe,
        trust_s=trust_s,
        clock_ns=clock_ns,
    )
    answer = FileAnswer(
        store, twins=twins, expires=expires, mode=mode, clock=lambda: 1000.0
    )
    return StaticFiles(
        store,
        answer,
        maps,
        index=index,
        skip_extensions=skip_extensions,
        use_document_root=use_document_root,
    )


def mapped(prefix: str, directory: Path) -> StaticMap:
    return parse_static_map(f"{prefix}={directory}", keeps_prefix=False)


def answer_of(stage: StaticFiles, path: str, **fields: str) -> RecordingExchange:
    exchange = RecordingExchange(path, **fields)
    assert stage(exchange), f"{path} was not answered"
    return exchange


# Which file


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/static/a.txt", b"0123456789"),
        ("/static//a.txt", b"0123456789"),
        ("/statica.txt", b"0123456789"),
        ("/static/sub/style.css", b"a{}"),
        ("/static/empty.txt", b""),
        ("/static/\xc3\xa9.txt", b"accent"),
        ("/static/inside.txt", b"0123456789"),
    ],
)
def test_a_mapped_file_is_sent(site: Path, path: str, body: bytes) -> None:
    exchange = answer_of(stage_of(mapped("/static", site / "public")), path)
    assert exchange.status == "200 OK"
    assert exchange.body == body
    assert exchange.header("Content-Length") == str(len(body))
    assert exchange.header("Last-Modified") == "Tue, 14 Nov 2023 22:13:20 GMT"


@pytest.mark.parametrize(
    "path",
    [
        "/other/a.txt",
        "/static/missing",
        "/static",
        "/static/",
        "/static/sub",
        "/static/a.txt/",
        "/static/a.txt\0.php",
        "/static/../public-private/secret.txt",
        "/static../public-private/secret.txt",
        "/static/sub/../../public-private/secret.txt",
        "/static/..",
        "/static-private/secret.txt",
        "/static/to-secret.txt",
        "/static/private/secret.txt",
        "/static/shared.txt",
        "/static/" + "a" * 300,
        "/static/" + "a/" * 5000,
        "/static/\xff",
        "",
    ],
)
def test_what_names_no_file_below_the_root_goes_on(site: Path, path: str) -> None:
    exchange = RecordingExchange(path)
    assert not stage_of(mapped("/static", site / "public"))(exchange)
    assert not exchange.status


@pytest.mark.parametrize("method", ["POST", "PUT", "OPTIONS", "get"])
def test_only_get_and_head_are_looked_at(site: Path, method: str) -> None:
    exchange = RecordingExchange("/static/a.txt", method)
    assert not stage_of(mapped("/static", site / "public"))(exchange)


def test_a_fifo_or_device_is_no_file(site: Path) -> None:
    os.mkfifo(site / "public" / "pipe")
    stage = stage_of(mapped("/static", site / "public"), mapped("/dev", Path("/dev")))
    assert not stage(RecordingExchange("/static/pipe"))
    assert not stage(RecordingExchange("/dev/null"))


def test_links_to_safe_directories_may_leave_the_root(site: Path) -> None:
    stage = stage_of(mapped("/static", site / "public"), safe=(str(site / "safe"),))
    assert answer_of(stage, "/static/shared.txt").body == b"shared"
    assert not stage(RecordingExchange("/static/to-secret.txt"))


def test_a_root_that_is_a_link_follows_it_where_it_leads_today(site: Path) -> None:
    current = site / "current"
    current.symlink_to("public")
    stage = stage_of(
        parse_static_map(f"/s={current}", keeps_prefix=False, trust_s=0.0), trust_s=0.0
    )
    assert answer_of(stage, "/s/a.txt").body == b"0123456789"
    current.unlink()
    current.symlink_to("public-private")
    assert not stage(RecordingExchange("/s/a.txt"))
    assert answer_of(stage, "/s/secret.txt").body == b"secret"


def test_a_map_may_name_a_single_file(site: Path) -> None:
    stage = stage_of(mapped("/favicon.ico", site / "public" / "a.txt"))
    for path in ("/favicon.ico", "/favicon.ico/more", "/favicon.icons"):
        assert answer_of(stage, path).body == b"0123456789"


def test_static_map2_appends_the_whole_path(site: Path) -> None:
    stage = stage_of(parse_static_map(f"/sub={site / 'public'}", keeps_prefix=True))
    assert answer_of(stage, "/sub/style.css").body == b"a{}"


def test_entries_are_tried_in_order(site: Path) -> None:
    first = stage_of(mapped("/", site / "public" / "sub"), mapped("/", site / "public"))
    assert answer_of(first, "/style.css").body == b"a{}"
    assert answer_of(first, "/a.txt").body == b"0123456789"


def test_one_path_under_two_roots_is_checked_for_each(site: Path) -> None:
    stage = stage_of(mapped("/all", site), mapped("/pub", site / "public"))
    assert answer_of(stage, "/all/public/to-secret.txt").body == b"secret"
    assert not stage(RecordingExchange("/pub/to-secret.txt"))


def test_an_index_file_answers_for_its_directory(site: Path) -> None:
    stage = stage_of(
        mapped("/static", site / "public"), index=("main.html", "index.html")
    )
    assert answer_of(stage, "/static/sub").body == b"<p>index"
    assert answer_of(stage, "/static/sub/").header("Content-Type") == "text/html"
    assert not stage(RecordingExchange("/static/"))


def test_skipped_extensions_are_left_to_the_application(site: Path) -> None:
    stage = stage_of(mapped("/static", site / "public"), skip_extensions=(".php",))
    assert not stage(RecordingExchange("/static/x.php"))
    assert answer_of(stage, "/static/a.txt").status == "200 OK"


def test_the_document_root_of_the_request_is_used_if_asked(site: Path) -> None:
    exchange = RecordingExchange("/a.txt")
    exchange.environ["DOCUMENT_ROOT"] = str(site / "public")
    assert not stage_of()(exchange)
    assert stage_of(use_document_root=True)(exchange)
    assert exchange.body == b"0123456789"
    assert not stage_of(use_document_root=True)(RecordingExchange("/a.txt"))


@pytest.mark.parametrize("value", ["/static", "/static=", ""])
def test_a_map_without_directory_is_refused(value: str) -> None:
    with pytest.raises(ConfigError, match="static-map needs"):
        parse_static_map(value, keeps_prefix=False)


# What is remembered


def test_small_files_at_rest_are_sent_from_memory(site: Path) -> None:
    stage = stage_of(
        mapped("/static", site / "public"), clock_ns=lambda: time.time_ns() + 10**10
    )
    assert answer_of(stage, "/static/a.txt").sent_from_files == 0
    assert answer_of(stage, "/static/big.bin").sent_from_files == MAX_BODY + 1000


def test_a_changed_file_is_sent_as_it_is_now(site: Path) -> None:
    stage = stage_of(mapped("/static", site / "public"))
    first = answer_of(stage, "/static/a.txt")
    (site / "public" / "a.txt").write_bytes(b"9876543210")
    second = answer_of(stage, "/static/a.txt")
    assert second.body == b"9876543210"
    assert second.header("ETag") != first.header("ETag")


def test_a_file_in_motion_is_read_each_time(site: Path) -> None:
    stage = stage_of(mapped("/static", site / "public"))
    path = site / "public" / "new.txt"
    path.write_bytes(b"one")
    when = path.stat()
    assert answer_of(stage, "/static/new.txt").body == b"one"
    path.write_bytes(b"two")
    os.utime(path, ns=(when.st_atime_ns, when.st_mtime_ns))
    assert answer_of(stage, "/static/new.txt").body == b"two"


def test_a_removed_file_is_gone_and_comes_back(site: Path) -> None:
    stage = stage_of(mapped("/static", site / "public"))
    path = site / "public" / "a.txt"
    answer_of(stage, "/static/a.txt")
    path.unlink()
    assert not stage(RecordingExchange("/static/a.txt"))
    path.write_bytes(b"back")
    assert answer_of(stage, "/static/a.txt").body == b"back"


def test_a_file_turned_into_a_link_outside_is_noticed(site: Path) -> None:
    stage = stage_of(mapped("/static", site / "public"))
    path = site / "public" / "a.txt"
    answer_of(stage, "/static/a.txt")
    path.unlink()
    path.symlink_to("../public-private/secret.txt")
    assert not stage(RecordingExchange("/static/a.txt"))


def test_many_files_do_not_grow_the_memory_without_bound(tmp_path: Path) -> None:
    store = FileStore(lambda name: None)
    root = Root(str(tmp_path))
    for number in range(3000):
        path = tmp_path / f"{number}"
        path.touch()
        assert store.find(str(path), root) is not None
    assert len(store._records) <= 2048


def test_no_descriptor_is_left_open(site: Path) -> None:
    stage = stage_of(mapped("/static", site / "public"))
    before = len(os.listdir("/proc/self/fd"))
    for path in ("/static/a.txt", "/static/big.bin", "/static/private/secret.txt"):
        stage(RecordingExchange(path))
        stage(RecordingExchange(path, range="bytes=1-2"))
    assert len(os.listdir("/proc/self/fd")) == before


# How it is sent


def test_head_has_the_head_of_get_and_no_body(site: Path) -> None:
    stage = stage_of(mapped("/static", site / "public"))
    for name in ("a.txt", "big.bin"):
        get = answer_of(stage, f"/static/{name}")
        head = answer_of(stage, f"/static/{name}", method="HEAD")
        assert head.headers == get.headers
        assert head.body == b""


def test_an_unknown_extension_has_no_content_type(site: Path) -> None:
    stage = stage_of(mapped("/static", site / "public"))
    assert answer_of(stage, "/static/noext").header("Content-Type") is None


def test_a_fresh_copy_is_not_sent_again(site: Path) -> None:
    stage = stage_of(mapped("/static", site / "public"))
    first = answer_of(stage, "/static/a.txt")
    etag, date = first.header("ETag"), first.header("Last-Modified")
    assert etag and date
    by_tag = answer_of(stage, "/static/a.txt", if_none_match=etag)
    by_date = answer_of(stage, "/static/a.txt", if_modified_since=date)
    for again in (by_tag, by_date):
        assert again.status == "304 Not Modified"
        assert again.body == b""
        assert again.header("ETag") == etag
        assert again.header("Content-Length") is None


def test_a_failed_precondition_is_412(site: Path) -> None:
    stage = stage_of(mapped("/static", site / "public"))
    exchange = answer_of(stage, "/static/a.txt", if_match='"other"')
    assert exchange.status == "412 Precondition Failed"


@pytest.mark.parametrize(
    ("field", "body", "content_range"),
    [
        ("bytes=2-5", b"2345", "bytes 2-5/10"),
        ("bytes=-1", b"9", "bytes 9-9/10"),
        ("bytes=8-100", b"89", "bytes 8-9/10"),
        ("bytes=0-3,3-5", b"012345", "bytes 0-5/10"),
    ],
)
def test_one_range_is_sent_as_partial_content(
    site: Path, field: str, body: bytes, content_range: str
) -> None:
    stage = stage_of(mapped("/static", site / "public"))
    exchange = answer_of(stage, "/static/a.txt", range=field)
    assert exchange.status == "206 Partial Content"
    assert exchange.body == body
    assert exchange.header("Content-Range") == content_range
    assert exchange.header("Content-Length") == str(len(body))


def test_several_ranges_are_sent_as_parts(site: Path) -> None:
    stage = stage_of(mapped("/static", site / "public"))
    exchange = answer_of(stage, "/static/a.txt", range="bytes=0-1,5-5")
    media_type = exchange.header("Content-Type")
    assert media_type and media_type.startswith("multipart/byteranges; boundary=")
    boundary = media_type.rpartition("=")[2]
    parts = exchange.body.split(b"--" + boundary.encode())
    assert parts[1:3] == [
        b"\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n01\r\n",
        b"\r\nContent-Type: text/plain\r\nContent-Range: bytes 5-5/10\r\n\r\n5\r\n",
    ]
    assert parts[3] == b"--\r\n"
    assert exchange.header("Content-Length") == str(len(exchange.body))


def test_an_unsatisfiable_range_is_416(site: Path) -> None:
    stage = stage_of(mapped("/static", site / "public"))
    exchange = answer_of(stage, "/static/a.txt", range="bytes=10-")
    assert exchange.status.startswith("416 ")
    assert exchange.header("Content-Range") == "bytes */10"


def test_a_range_of_another_version_gets_the_whole_file(site: Path) -> None:
    stage = stage_of(mapped("/static", site / "public"))
    exchange = answer_of(stage, "/static/a.txt", range="bytes=0-1", if_range='"old"')
    assert (exchange.status, exchange.body) == ("200 OK", b"0123456789")


def test_the_best_twin_the_client_takes_is_sent(site: Path) -> None:
    public = site / "public"
    (public / "a.txt.gz").write_bytes(b"gz")
    (public / "a.txt.br").write_bytes(b"brotli")
    stage = stage_of(mapped("/s", public), twins=TwinRules(everything=True))
    plain = answer_of(stage, "/s/a.txt")
    gz = answer_of(stage, "/s/a.txt", accept_encoding="gzip, zstd")
    br = answer_of(stage, "/s/a.txt", accept_encoding="gzip, br")
    assert plain.body == b"0123456789"
    assert gz.body == b"gz"
    assert br.body == b"brotli"
    assert gz.header("Content-Encoding") == "gzip"
    assert gz.header("Content-Type") == "text/plain"
    assert {e.header("Vary") for e in (plain, gz, br)} == {"Accept-Encoding"}
    assert len({e.header("ETag") for e in (plain, gz, br)}) == 3


@pytest.mark.parametrize(
    ("rules", "applies"),
    [
        (TwinRules(prefixes=["/srv/static"]), True),
        (TwinRules(prefixes=["/other"]), False),
        (TwinRules(extensions=[".css"]), True),
        (TwinRules(extensions=[".js"]), False),
        (TwinRules(searches=[lambda path: "a.c" in path]), True),
        (TwinRules(), False),
    ],
)
def test_twin_rules_choose_by_path(rules: TwinRules, applies: bool) -> None:
    assert rules.apply_to("/srv/static/a.css") is applies


def test_expires_is_added_by_the_rules(site: Path) -> None:
    rule = type_rule("text/plain=60", "static-expires-type", since_mtime=False)
    stage = stage_of(mapped("/s", site / "public"), expires=ExpiresRules([rule]))
    exchange = answer_of(stage, "/s/a.txt")
    assert exchange.header("Expires") == "Thu, 01 Jan 1970 00:17:40 GMT"
    assert answer_of(stage, "/s/noext").header("Expires") is None


def test_the_server_in_front_can_be_told_to_send_the_file(site: Path) -> None:
    stage = stage_of(mapped("/s", site / "public"), mode=parse_serve_mode("nginx"))
    exchange = answer_of(stage, "/s/inside.txt")
    assert exchange.header("X-Accel-Redirect") == str(
        (site / "public" / "a.txt").resolve()
    )
    assert exchange.body == b""
    assert exchange.header("Content-Length") is None


def test_an_unknown_serve_mode_is_refused() -> None:
    assert parse_serve_mode(None) is ServeMode.SEND
    assert parse_serve_mode("X-Sendfile") is ServeMode.X_SENDFILE
    with pytest.raises(ConfigError, match="file-serve-mode 'pigeon'"):
        parse_serve_mode("pigeon")
