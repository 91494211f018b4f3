"""What a configuration may ask of the machine it is read on.

``Host`` is the whole list; the rest of the package reaches the world only through it,
so that tests give it a world of their own. ``SystemHost`` is the real one.

Every reading method raises ``SourceError`` with a sentence if the thing is not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from geuwsgi.protocol.urls import without_secrets


class SourceError(Exception):
    """A file, command or address cannot be read; the text says which and why."""


class Host(Protocol):
    """The reads that configuration needs. Text is bytes; paths are as written."""

    environ: Mapping[str, str]
    cwd: str
    hostname: str
    cpu_count: int
    uid: int
    gid: int
    started: float
    """Unix time at which the server started."""
    is_reload: bool
    binary_path: str

    def read_file(self, path: str) -> bytes: ...

    def real_path(self, path: str) -> str:
        """The absolute path without links; raises SourceError if it is missing."""

    def inode(self, path: str) -> int: ...

    def exists(self, path: str) -> bool: ...

    def is_file(self, path: str) -> bool: ...

    def is_directory(self, path: str) -> bool: ...

    def glob(self, pattern: str) -> list[str]: ...

    def read_stdin(self) -> bytes: ...

    def read_descriptor(self, number: int) -> bytes: ...

    def run(self, command: str) -> bytes:
        """The standard output of a shell command; SourceError if it fails."""

    def fetch(self, url: str) -> bytes: ...

    def resolve(self, name: str) -> str:
        """The first IPv4 address of a host name."""

    def user_name(self, uid: int) -> str: ...

    def group_name(self, gid: int) -> str: ...

    def somaxconn(self) -> int:
        """The kernel's limit for a listen backlog; 0 if it cannot be told."""


class SystemHost:
    """The machine itself. Modules that few configurations need are imported late."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        import os
        import sys
        import time

        self.environ = environ
        self.cwd = os.getcwd()
        self.cpu_count = os.cpu_count() or 1
        self.uid = os.getuid()
        self.gid = os.getgid()
        self.started = time.time()
        self.is_reload = "UWSGI_RELOADS" in environ
        self.hostname = os.uname().nodename
        self.binary_path = os.path.abspath(sys.argv[0]) if sys.argv[0] else ""

    def read_file(self, path: str) -> bytes:
        try:
            with open(path, "rb") as file:
                return file.read()
        except (OSError, ValueError) as exc:
            raise SourceError(_why(path, exc)) from exc

    def real_path(self, path: str) -> str:
        import os.path

        try:
            return os.path.realpath(path, strict=True)
        except (OSError, ValueError) as exc:
            raise SourceError(_why(path, exc)) from exc

    def inode(self, path: str) -> int:
        import os

        try:
            return os.stat(path).st_ino
        except (OSError, ValueError) as exc:
            raise SourceError(_why(path, exc)) from exc

    def exists(self, path: str) -> bool:
        import os.path

        return os.path.exists(path)

    def is_file(self, path: str) -> bool:
        import os.path

        return os.path.isfile(path)

    def is_directory(self, path: str) -> bool:
        import os.path

        return os.path.isdir(path)

    def glob(self, pattern: str) -> list[str]:
        import glob

        return sorted(glob.glob(pattern))

    def read_stdin(self) -> bytes:
        return self.read_descriptor(0)

    def read_descriptor(self, number: int) -> bytes:
        try:
            with open(number, "rb", closefd=False) as file:
                return file.read()
        except (OSError, ValueError) as exc:
            raise SourceError(_why(f"fd://{number}", exc)) from exc

    def run(self, command: str) -> bytes:
        import subprocess

        try:
            done = subprocess.run(
                command,
                shell=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                check=True,
            )
        except (OSError, ValueError, subprocess.SubprocessError) as exc:
            raise SourceError(f"command {command!r} failed: {exc}") from exc
        return done.stdout

    def fetch(self, url: str) -> bytes:
        from http.client import HTTPException
        from urllib.request import Request, urlopen

        if "@" in url.partition("://")[2].partition("/")[0]:
            # Nor does uWSGI; urllib would take it for a port, and say it aloud.
            raise SourceError(
                f"cannot fetch {without_secrets(url)!r}: passwords in URLs are not sent"
            )
        try:
            request = Request(url, headers={"User-Agent": "geuwsgi"})
            with urlopen(request, timeout=30) as response:
                body: bytes = response.read()
        except (OSError, ValueError, HTTPException) as exc:
            shown = without_secrets(url)
            raise SourceError(f"cannot fetch {shown!r}: {exc}") from exc
        return body

    def resolve(self, name: str) -> str:
        import socket

        try:
            return socket.gethostbyname(name)
        except (OSError, UnicodeError) as exc:
            raise SourceError(f"cannot resolve {name!r}: {exc}") from exc

    def user_name(self, uid: int) -> str:
        import pwd

        try:
            return pwd.getpwuid(uid).pw_name
        except KeyError:
            return str(uid)

    def group_name(self, gid: int) -> str:
        import grp

        try:
            return grp.getgrgid(gid).gr_name
        except KeyError:
            return str(gid)

    def somaxconn(self) -> int:
        try:
            return int(self.read_file("/proc/sys/net/core/somaxconn"))
        except (SourceError, ValueError):
            return 0


def _why(path: str, exc: Exception) -> str:
    reason = getattr(exc, "strerror", None) or str(exc)
    return f"cannot read {path!r}: {reason}"
