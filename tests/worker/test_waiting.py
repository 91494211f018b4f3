from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from geuwsgi.errors import StartupError
from geuwsgi.options import Hooks
from geuwsgi.worker.waiting import (
    wait_for_all,
    wait_for_directory,
    wait_for_file,
    wait_for_path,
    wait_for_socket,
)


def test_what_is_there_is_not_waited_for(tmp_path: Path) -> None:
    lines: list[str] = []
    (tmp_path / "file").write_text("")
    hooks = Hooks(
        wait_for_fs=(str(tmp_path),),
        wait_for_mountpoint=("/",),
        wait_for_interface=("lo",),
    )
    wait_for_all(hooks, lines.append)
    wait_for_file(str(tmp_path / "file"), lines.append)
    wait_for_directory(str(tmp_path), lines.append)
    assert lines == []


@pytest.mark.parametrize(
    ("wait", "name"),
    [(wait_for_path, "none"), (wait_for_file, "."), (wait_for_directory, "file")],
)
def test_what_does_not_come_ends_the_start(
    tmp_path: Path, wait: Callable[..., None], name: str
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartupError, match=r"did not come in 0\.01 seconds"):
        wait(str(tmp_path / name), lambda line: None, 0.01)


def test_what_comes_later_ends_the_waiting(tmp_path: Path) -> None:
    path = tmp_path / "late"
    lines: list[str] = []

    def tell(line: str) -> None:
        lines.append(line)
        path.write_text("")

    wait_for_path(str(path), tell, 10.0)
    assert lines == [f"waiting for {path} (at most 10 seconds)..."]


def test_a_socket_is_waited_for_until_it_accepts(tmp_path: Path) -> None:
    path = str(tmp_path / "sock")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        listening = threading.Thread(target=server.listen)
        wait_for_socket(path, lambda line: listening.start(), 10.0)
        listening.join()
        with pytest.raises(StartupError, match="did not come"):
            wait_for_socket(str(tmp_path / "none"), lambda line: None, 0.01)


def test_an_address_that_cannot_be_meant_is_refused() -> None:
    with pytest.raises(StartupError, match="wait-for-socket"):
        wait_for_socket("fd://3", lambda line: None)
