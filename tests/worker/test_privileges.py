from __future__ import annotations

import os

import pytest

from geuwsgi.errors import StartupError
from geuwsgi.options import Process
from geuwsgi.worker.privileges import Privileges, find_gid, find_uid

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root changes its user")


def test_users_and_groups_have_names_and_numbers() -> None:
    assert find_uid("root") == 0
    assert find_uid("1234") == 1234
    assert find_gid("root") == 0
    assert find_gid("1234") == 1234


def test_a_user_or_group_that_is_unknown_is_told() -> None:
    with pytest.raises(StartupError, match="there is no user 'nobody-at-all'"):
        Privileges.of(Process(uid="nobody-at-all"))
    with pytest.raises(StartupError, match="there is no group 'no-group-at-all'"):
        Privileges.of(Process(gid="no-group-at-all"))


def taken(process: Process) -> str:
    """What a child of root's that takes its privileges is then."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgroups([0, 5, 6])
        privileges = Privileges.of(process)
        lines = privileges.take()
        told = repr((os.getresuid(), os.getresgid(), sorted(os.getgroups()), lines))
        os.write(writer, told.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    return told


@needs_root
def test_everything_is_given_away() -> None:
    told = taken(Process(uid="4321", gid="8765", add_gid=("77",)))
    assert told == repr(
        ((4321,) * 3, (8765,) * 3, [77, 8765], ["setgid() to 8765", "setuid() to 4321"])
    )


@needs_root
def test_a_user_without_a_group_keeps_no_groups_of_root() -> None:
    warning = "*** WARNING: gid stays 0 (use the --gid option) ***"
    assert taken(Process(uid="4321")) == repr(
        ((4321,) * 3, (0,) * 3, [0], [warning, "setuid() to 4321"])
    )


@needs_root
def test_nothing_is_asked_nothing_changes() -> None:
    assert Privileges.of(Process()).take() == []
    assert os.getuid() == 0
