from __future__ import annotations

import os
from pathlib import Path

import pytest

from geuwsgi.errors import StartupError
from geuwsgi.worker.capabilities import parse_capabilities
from geuwsgi.worker.privileges import Privileges

NET_BIND_SERVICE = 10
NET_RAW = 13


def test_names_are_those_of_the_manual() -> None:
    assert parse_capabilities("net_bind_service, CAP_NET_RAW") == (10, 13)
    assert parse_capabilities("checkpoint_restore") == (40,)
    with pytest.raises(StartupError, match="no capability 'net_bond'"):
        parse_capabilities("net_raw,net_bond")


def sets_of(status: str) -> dict[str, int]:
    return {
        name: int(value, 16)
        for name, _, value in (line.partition(":") for line in status.splitlines())
        if name.startswith("Cap")
    }


def sets_after(privileges: Privileges) -> tuple[dict[str, int], dict[str, int]]:
    """The capabilities of a process that has taken them, and of what it starts."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            privileges.take()
            os.write(writing, Path("/proc/self/status").read_bytes() + b"\0")
            os.dup2(writing, 1)
            os.execv("/bin/cat", ["cat", "/proc/self/status"])
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading) as answers:
        own, started = answers.read().split("\0")
    assert os.waitpid(pid, 0)[1] == 0
    return sets_of(own), sets_of(started)


@pytest.mark.skipif(os.getuid() != 0, reason="only root may become another user")
def test_another_user_keeps_what_was_named_over_an_exec() -> None:
    own, started = sets_after(
        Privileges(uid=65534, gid=65534, capabilities=(NET_BIND_SERVICE, NET_RAW))
    )
    wanted = 1 << NET_BIND_SERVICE | 1 << NET_RAW
    for sets in (own, started):
        assert sets["CapEff"] == sets["CapPrm"] == wanted
    _, started = sets_after(Privileges(uid=65534, gid=65534))
    assert started["CapEff"] == 0
