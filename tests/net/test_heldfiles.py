from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from geuwsgi.net.heldfiles import HeldFiles, hold_files

pytestmark = pytest.mark.skipif(
    not hasattr(os, "memfd_create"), reason="not on this system: anonymous files"
)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[str, str, HeldFiles]]:
    """A certificate and its key, and copies of both."""
    certificate, key = tmp_path / "site.crt", tmp_path / "site.key"
    certificate.write_text("certificate one")
    key.write_text("key one")
    held = hold_files([str(certificate), str(key), str(tmp_path / "none")])
    assert len(held) == 2
    yield str(certificate), str(key), HeldFiles(held)
    for fileno in held.values():
        os.close(fileno)


def test_what_can_be_read_is_read_where_it_is(pair: tuple[str, str, HeldFiles]) -> None:
    certificate, key, held = pair
    assert held.replace_unreadable(certificate, key, "") == (certificate, key, "")
    assert not held.is_outdated(certificate)


def test_copies_are_taken_together(pair: tuple[str, str, HeldFiles]) -> None:
    certificate, key, held = pair
    os.unlink(key)
    Path(certificate).write_text("certificate two")
    first, second, third = held.replace_unreadable(certificate, key, "")
    # The new certificate does not fit the key that is left.
    assert Path(first).read_text() == "certificate one"
    assert Path(second).read_text() == "key one"
    assert third == ""
    assert held.is_outdated(certificate)


def test_without_copies_of_all_the_paths_stay(pair: tuple[str, str, HeldFiles]) -> None:
    certificate, key, held = pair
    os.unlink(key)
    assert held.replace_unreadable(certificate, key, "/no/ca") == (
        certificate,
        key,
        "/no/ca",
    )
    assert HeldFiles().replace_unreadable(key) == (key,)
    assert not HeldFiles().is_outdated(certificate)
