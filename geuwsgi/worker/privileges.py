"""Become the user the configuration names.

Used by the master after it has opened the sockets, or by workers where the master
stays root (master-as-root).
"""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import dataclass
from typing import TYPE_CHECKING

from geuwsgi.errors import StartupError
from geuwsgi.worker.capabilities import (
    NAMES,
    keep_over_user_change,
    parse_capabilities,
    take_only,
)

if TYPE_CHECKING:
    from geuwsgi.options import Process


@dataclass(frozen=True)
class Privileges:
    """User, group and further groups as numbers; None: stay what the process is.

    ``groups`` None leaves the further groups to the system (the user's own, or none).
    """

    uid: int | None = None
    gid: int | None = None
    user_name: str = ""
    more_gids: tuple[int, ...] = ()
    with_users_groups: bool = True
    chroot: str = ""
    capabilities: tuple[int, ...] = ()

    @classmethod
    def of(cls, process: Process) -> Privileges:
        """Look up the names. Raises StartupError for one that does not exist."""
        uid = find_uid(process.uid) if process.uid else None
        return cls(
            uid=uid,
            gid=find_gid(process.gid) if process.gid else None,
            user_name=_name_of(uid),
            more_gids=tuple(find_gid(name) for name in process.add_gid),
            with_users_groups=not process.no_initgroups,
            chroot=process.chroot or "",
            capabilities=parse_capabilities(process.cap) if process.cap else (),
        )

    @classmethod
    def named(cls, user: str | None, group: str | None) -> Privileges:
        """Those of a user and a group. Raises StartupError if there is none."""
        uid = find_uid(user) if user else None
        gid = find_gid(group) if group else None
        return cls(uid=uid, gid=gid, user_name=_name_of(uid))

    def enter_jail(self) -> list[str]:
        """Change the root directory, if one is given; return lines for the log.

        Raises StartupError if the system refuses.
        """
        if not self.chroot:
            return []
        try:
            os.chroot(self.chroot)
            os.chdir("/")
        except OSError as exc:
            raise StartupError(f"chroot to {self.chroot}: {exc.strerror}") from exc
        return [f"chroot() to {self.chroot}"]

    def take(self) -> list[str]:
        """Become the user and the groups; return lines for the log.

        Raises StartupError if the system refuses. Without root rights being what is
        asked for already is enough.
        """
        try:
            return self._take()
        except OSError as exc:
            raise StartupError(
                f"cannot become uid {self.uid}, gid {self.gid}: {exc.strerror}"
            ) from exc

    def _take(self) -> list[str]:
        lines: list[str] = []
        if os.getuid() != 0:
            if self.uid not in (None, os.getuid()) or self.gid not in (
                None,
                os.getgid(),
            ):
                lines.append("uid and gid are kept: the server was not started as root")
            return lines
        if self.gid is not None:
            os.setgid(self.gid)
            lines.append(f"setgid() to {self.gid}")
            self._take_groups(self.gid)
        elif self.uid is not None:
            # The further groups of root would stay, which uid is there to end.
            self._take_groups(os.getgid())
            if self.uid and os.getgid() == 0:
                lines.append("*** WARNING: gid stays 0 (use the --gid option) ***")
        elif self.more_gids:
            os.setgroups(self.more_gids)
        if self.capabilities:
            keep_over_user_change()
        if self.uid is not None:
            os.setuid(self.uid)
            lines.append(f"setuid() to {self.uid}")
        if self.capabilities:
            take_only(self.capabilities)
            kept = ", ".join(NAMES[number] for number in self.capabilities)
            lines.append(f"capabilities kept: {kept}")
        return lines

    def _take_groups(self, gid: int) -> None:
        groups: list[int] = [gid]
        if self.user_name and self.with_users_groups:
            groups = os.getgrouplist(self.user_name, gid)
        os.setgroups(list(dict.fromkeys((*groups, *self.more_gids))))


def master_stays_root(process: Process) -> bool:
    """Whether the master keeps its rights, and each generation drops its own."""
    return process.master_as_root or process.drop_after_apps


def find_uid(name: str) -> int:
    """The number of a user given by name or number."""
    if name.isdigit():
        return int(name)
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        raise StartupError(f"uid: there is no user {name!r}") from None


def find_gid(name: str) -> int:
    """The number of a group given by name or number."""
    if name.isdigit():
        return int(name)
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise StartupError(f"gid: there is no group {name!r}") from None


def _name_of(uid: int | None) -> str:
    if uid is None:
        return ""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""
