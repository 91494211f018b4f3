"""Servers to be attacked: real processes, one for a module where that is enough."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from geuwsgi.testing.client import free_port
from geuwsgi.testing.fixtures import geuwsgi_server
from geuwsgi.testing.process import ServerProcess

__all__ = ["geuwsgi_server"]

APPS = Path(__file__).parent / "apps"

#: (server, address of HTTP); more lines of the configuration are the argument.
Serve = Callable[..., tuple[ServerProcess, str]]


@pytest.fixture
def apps(tmp_path: Path) -> Path:
    """A directory of the test's own with the applications."""
    return Path(shutil.copytree(APPS, tmp_path / "site"))


def start(
    directory: Path, lines: str, *, module: str = "counting:application"
) -> tuple[ServerProcess, str]:
    """Start a server on HTTP; return it when its first worker is there."""
    address = f"127.0.0.1:{free_port()}"
    (directory / "site.ini").write_text(
        f"[uwsgi]\nhttp-socket = {address}\nmaster = true\nmodule = {module}\n{lines}"
    )
    server = ServerProcess(["--ini", "site.ini"], directory=directory)
    try:
        server.wait_for_log("spawned uWSGI worker 1", timeout=40)
    except BaseException:
        server.kill()
        raise
    return server, address


def may_mount() -> bool:
    """Whether this is root, and not in a container that takes the right away."""
    return (
        os.getuid() == 0
        and shutil.which("unshare") is not None
        and subprocess.run(
            ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
            capture_output=True,
        ).returncode
        == 0
    )
