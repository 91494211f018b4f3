"""Linux capabilities that outlive the change to another user (uWSGI: cap).

They are kept over an exec, too (the *ambient* set), for the interpreters that a master
starts after it has changed its user.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterable
from typing import Final

from geuwsgi.errors import StartupError

# linux/capability.h, in the order of their numbers.
NAMES: Final = (
    "chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap "
    "linux_immutable net_bind_service net_broadcast net_admin net_raw ipc_lock "
    "ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin sys_boot "
    "sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write "
    "audit_control setfcap mac_override mac_admin syslog wake_alarm block_suspend "
    "audit_read perfmon bpf checkpoint_restore"
).split()

_PR_SET_KEEPCAPS: Final = 8
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_RAISE: Final = 2
_VERSION_3: Final = 0x20080522


def parse_capabilities(text: str) -> tuple[int, ...]:
    """The numbers of ``name,name``, in any case, with or without ``cap_``.

    Raises StartupError for a name that is unknown.
    """
    numbers = []
    for word in text.split(","):
        name = word.strip().lower().removeprefix("cap_")
        if name not in NAMES:
            raise StartupError(f"cap: there is no capability {word.strip()!r}")
        numbers.append(NAMES.index(name))
    return tuple(numbers)


def keep_over_user_change() -> None:
    """Have the next change of the user leave the permitted set. Raises OSError."""
    _call("prctl", _PR_SET_KEEPCAPS, 1, 0, 0, 0)


def take_only(numbers: Iterable[int]) -> None:
    """Have these capabilities and no others from now on. Raises OSError."""
    numbers = tuple(numbers)
    words = [0, 0]
    for number in numbers:
        words[number // 32] |= 1 << number % 32
    head = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    # effective, permitted and inheritable, for each half of the numbers
    sets = (ctypes.c_uint32 * 6)(*[word for word in words for _ in range(3)])
    _call("capset", head, sets)
    if os.getuid() != 0:
        for number in numbers:
            _call("prctl", _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, number, 0, 0)


def _call(name: str, *arguments: object) -> None:
    if not sys.platform.startswith("linux"):
        raise OSError(f"there is no {name} on this system")
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
