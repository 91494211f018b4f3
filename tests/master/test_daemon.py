from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from geuwsgi.errors import StartupError
from geuwsgi.master.daemon import PidFile, lives, read_pidfile


def test_a_pidfile_holds_a_number(tmp_path: Path) -> None:
    pidfile = PidFile(str(tmp_path / "pid"))
    assert pidfile.read() == 0
    pidfile.write(77)
    assert pidfile.read() == 77
    assert read_pidfile(pidfile.path) == 77


@pytest.mark.parametrize("text", ["", "x", "-4"])
def test_a_file_without_a_process_id_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "pid").write_text(text)
    with pytest.raises(StartupError, match="there is no process id in"):
        read_pidfile(str(tmp_path / "pid"))


def test_a_pidfile_is_removed_only_while_it_is_ours(tmp_path: Path) -> None:
    pidfile = PidFile(str(tmp_path / "pid"))
    pidfile.write(77)
    assert not pidfile.remove(78)
    assert pidfile.remove(77)
    assert not (tmp_path / "pid").exists()
    assert not pidfile.remove(77)


def test_a_safe_pidfile_of_somebody_who_lives_is_left_alone(tmp_path: Path) -> None:
    pidfile = PidFile(str(tmp_path / "pid"))
    pidfile.check_free()
    pidfile.write(os.getpid())
    pidfile.check_free()
    pidfile.write(os.getppid())
    with pytest.raises(StartupError, match=f"belongs to process {os.getppid()}"):
        pidfile.check_free()
    ended = subprocess.Popen(["true"])
    ended.wait()
    pidfile.write(ended.pid)
    pidfile.check_free()
    assert not lives(ended.pid)


def test_a_pidfile_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="cannot write the pidfile"):
        PidFile(str(tmp_path / "nowhere" / "pid")).write(1)
