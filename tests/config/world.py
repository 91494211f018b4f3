"""A machine that exists only in memory, for reading configurations on."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence

from geuwsgi.config import Loading, read
from geuwsgi.config.host import SourceError


class World:
    """Files, variables and commands as given; everything else is not there."""

    def __init__(
        self,
        files: Mapping[str, str] | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        commands: Mapping[str, str] | None = None,
        urls: Mapping[str, str] | None = None,
        hosts: Mapping[str, str] | None = None,
        descriptors: Mapping[int, str] | None = None,
        directories: Sequence[str] = (),
        hostname: str = "box",
        is_reload: bool = False,
        somaxconn: int = 4096,
    ) -> None:
        self.files = dict(files or {})
        self.environ: Mapping[str, str] = dict(environ or {})
        self.cwd = "/srv/site"
        self.hostname = hostname
        self.cpu_count = 4
        self.uid = 1000
        self.gid = 50
        self.started = 1_700_000_000.25
        self.is_reload = is_reload
        self.binary_path = "/usr/bin/geuwsgi"
        self._commands = dict(commands or {})
        self._urls = dict(urls or {})
        self._hosts = dict(hosts or {})
        self._descriptors = dict(descriptors or {})
        self._directories = directories
        self._somaxconn = somaxconn

    def _full(self, path: str) -> str:
        return path if path.startswith("/") else f"{self.cwd}/{path}"

    def _known(self, path: str) -> str | None:
        for name in self.files:
            if self._full(name) == self._full(path):
                return name
        return None

    def read_file(self, path: str) -> bytes:
        name = self._known(path)
        if name is None:
            raise SourceError(f"cannot read {path!r}: No such file or directory")
        return self.files[name].encode("utf-8", "surrogateescape")

    def real_path(self, path: str) -> str:
        self.read_file(path)
        return self._full(path)

    def inode(self, path: str) -> int:
        return 42

    def exists(self, path: str) -> bool:
        return self.is_file(path) or self.is_directory(path)

    def is_file(self, path: str) -> bool:
        return self._known(path) is not None

    def is_directory(self, path: str) -> bool:
        return path in self._directories

    def glob(self, pattern: str) -> list[str]:
        return sorted(name for name in self.files if fnmatch.fnmatch(name, pattern))

    def read_stdin(self) -> bytes:
        return self.read_descriptor(0)

    def read_descriptor(self, number: int) -> bytes:
        if number not in self._descriptors:
            raise SourceError(f"cannot read 'fd://{number}': Bad file descriptor")
        return self._descriptors[number].encode()

    def run(self, command: str) -> bytes:
        if command not in self._commands:
            raise SourceError(f"command {command!r} failed")
        return self._commands[command].encode()

    def fetch(self, url: str) -> bytes:
        if url not in self._urls:
            raise SourceError(f"cannot fetch {url!r}")
        return self._urls[url].encode()

    def resolve(self, name: str) -> str:
        if name not in self._hosts:
            raise SourceError(f"cannot resolve {name!r}")
        return self._hosts[name]

    def user_name(self, uid: int) -> str:
        return "site"

    def group_name(self, gid: int) -> str:
        return "staff"

    def somaxconn(self) -> int:
        return self._somaxconn


def read_in(world: World, *argv: str) -> Loading:
    """Read a command line in a world."""
    return read(argv, world.environ, host=world)


def read_ini(text: str, *argv: str, **more: Mapping[str, str]) -> Loading:
    """Read ``app.ini`` with these lines in its [uwsgi] section."""
    files = {"app.ini": f"[uwsgi]\n{text}\n", **more.get("files", {})}
    world = World(files, environ=more.get("environ"), commands=more.get("commands"))
    return read_in(world, "--ini", "app.ini", *argv)


def values(loading: Loading) -> dict[str, object]:
    """What ``uwsgi.opt`` would hold, as texts, without the name of the file."""
    opt = loading.configuration.opt
    return {
        name: value.decode() if isinstance(value, bytes) else value
        for name, value in opt.items()
        if name != "ini"
    }


def errors(loading: Loading) -> list[str]:
    return [str(error) for error in loading.errors]


def notes(loading: Loading) -> list[str]:
    return [str(note) for note in loading.configuration.notes]
