from __future__ import annotations

import os
import tempfile

from geuwsgi.net.fileblocks import file_blocks


def test_a_part_of_a_file_comes_in_blocks() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"0123456789")
        file.flush()
        fd = file.fileno()
        os.lseek(fd, 3, os.SEEK_SET)
        assert list(file_blocks(fd, 2, 5, 2)) == [b"23", b"45", b"6"]
        assert list(file_blocks(fd, 8, 100, 64)) == [b"89"]
        assert list(file_blocks(fd, 0, 0, 64)) == []
        assert os.lseek(fd, 0, os.SEEK_CUR) == 3
