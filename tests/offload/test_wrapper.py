"""The file wrapper of WSGI."""

from __future__ import annotations

import gzip
import io
import os
import tempfile
from pathlib import Path

import pytest

from geuwsgi.offload.wrapper import FileWrapper, file_source


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "file"
    made.write_bytes(b"0123456789")
    return made


def test_an_open_file_is_sent_from_its_descriptor(path: Path) -> None:
    with path.open("rb") as file:
        assert FileWrapper(file).source() == (file.fileno(), 0, 10)
    with open(path, "rb", buffering=0) as raw:
        assert file_source(raw) == (raw.fileno(), 0, 10)


def test_sending_starts_where_the_object_stands(path: Path) -> None:
    with path.open("rb") as file:
        file.read(3)
        assert os.lseek(file.fileno(), 0, os.SEEK_CUR) == 10  # buffered ahead
        assert file_source(file) == (file.fileno(), 3, 7)
        file.seek(20)
        assert file_source(file) == (file.fileno(), 20, 0)


def test_temporary_files_are_sent_from_their_descriptors() -> None:
    with tempfile.NamedTemporaryFile() as named, tempfile.TemporaryFile() as plain:
        for file in (named, plain):
            file.write(b"abc")
            file.seek(1)
            assert file_source(file) == (file.fileno(), 1, 2)


def test_what_holds_other_bytes_than_its_descriptor_is_iterated(path: Path) -> None:
    compressed = path.with_suffix(".gz")
    compressed.write_bytes(gzip.compress(b"hello"))
    with gzip.open(compressed) as file:
        assert file_source(file) is None
        assert file_source(io.BufferedReader(file)) is None
    with path.open("r", encoding="ascii") as text:
        assert file_source(text) is None


def test_what_has_no_regular_file_is_iterated() -> None:
    reading, writing = os.pipe()
    os.close(writing)
    with open(reading, "rb") as pipe:
        assert file_source(pipe) is None
    assert file_source(io.BytesIO(b"x")) is None
    assert file_source(object()) is None
    with tempfile.TemporaryFile() as closed:
        pass
    assert file_source(closed) is None


@pytest.mark.parametrize(("block_size", "blocks"), [(4, 3), (0, 1), (-1, 1)])
def test_iteration_reads_in_blocks(block_size: int, blocks: int) -> None:
    wrapper = FileWrapper(io.BytesIO(b"0123456789"), block_size)
    pieces = list(wrapper)
    assert b"".join(pieces) == b"0123456789"
    assert len(pieces) == blocks


def test_closing_the_wrapper_closes_the_object(path: Path) -> None:
    with path.open("rb") as file:
        FileWrapper(file).close()
        assert file.closed
    FileWrapper(iter(())).close()
