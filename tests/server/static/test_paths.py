"""Paths of requests, and the ones that want out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geuwsgi.server.static.paths import (
    file_system_path,
    is_below,
    is_below_any,
    joined,
)


@pytest.mark.parametrize(
    ("rest", "path"),
    [
        ("", "/srv"),
        ("/", "/srv"),
        ("/a.txt", "/srv/a.txt"),
        ("a.txt", "/srv/a.txt"),
        ("//a//b", "/srv/a//b"),
        ("/a/./b", "/srv/a/./b"),
        ("/a..b/..c", "/srv/a..b/..c"),
        ("/...", "/srv/..."),
    ],
)
def test_a_path_is_appended(rest: str, path: str) -> None:
    assert joined("/srv", rest) == path


@pytest.mark.parametrize(
    "rest",
    ["..", "/..", "/../etc/passwd", "/a/../../etc", "/a/..", "../x", "/a\0.png", "\0"],
)
def test_a_path_that_wants_out_names_nothing(rest: str) -> None:
    assert joined("/srv", rest) is None


def test_the_root_directory_gets_no_second_slash() -> None:
    assert joined("/", "/etc") == "/etc"


@given(st.text("./a\0\\%", max_size=12))
def test_no_joined_path_holds_a_parent_segment(rest: str) -> None:
    path = joined("/srv", rest)
    assert path is None or (
        ".." not in path.split("/") and "\0" not in path and path.startswith("/srv")
    )


def test_bytes_of_a_request_become_a_file_name() -> None:
    assert file_system_path("/a") == "/a"
    assert file_system_path("/\xc3\xa9") == "/é"
    assert file_system_path("/\xff") == "/\udcff"


def test_below_means_in_the_directory_not_beside_it() -> None:
    assert is_below("/srv/static", "/srv/static")
    assert is_below("/srv/static/a", "/srv/static")
    assert is_below("/a", "/")
    assert not is_below("/srv/static-private/a", "/srv/static")
    assert not is_below("/srv", "/srv/static")
    assert is_below_any("/b/x", ["/a", "/b"])
    assert not is_below_any("/b/x", [])
