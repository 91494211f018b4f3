"""Files whose descriptor holds other bytes than they read."""

from __future__ import annotations

import gzip
import io
import lzma
from pathlib import Path

from geuwsgi.wsgi.filewrapper import FileWrapper


def test_compressed_files_are_read_not_sent_from_their_descriptors(
    tmp_path: Path,
) -> None:
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(b"hello"))
    with gzip.open(path) as file:
        assert FileWrapper(file).file_region() is None
        assert b"".join(FileWrapper(file)) == b"hello"
    with io.BufferedReader(gzip.open(path)) as buffered:
        assert FileWrapper(buffered).file_region() is None
    path.write_bytes(lzma.compress(b"hello"))
    with lzma.open(path) as packed:
        assert FileWrapper(packed).file_region() is None


def test_plain_files_are_sent_from_where_they_stand(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    with path.open("rb") as file:
        file.read(3)
        assert FileWrapper(file).file_region() == (file.fileno(), 3, 7)
