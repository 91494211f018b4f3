"""Where an emperor finds its vassals, and the commands that start them."""

from __future__ import annotations

import contextlib
import glob
import os
import pwd
import shlex
import shutil
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import geuwsgi
from geuwsgi.errors import ConfigError, StartupError
from geuwsgi.master.realm import Candidate
from geuwsgi.options import Emperor, Hooks
from geuwsgi.worker.hooks import parse_action

_FLAGS = {
    ".ini": "--ini",
    ".js": "--json",
    ".json": "--json",
    ".toml": "--toml",
    ".xml": "--xml",
    ".yaml": "--yaml",
    ".yml": "--yaml",
}
#: What the commands of hooks find in their environment.
VASSAL_VARIABLES = ("UWSGI_VASSAL_CONFIG", "UWSGI_VASSAL_UID", "UWSGI_VASSAL_GID")
_LOCAL = ("dir://", "glob://")


@dataclass(frozen=True)
class Search:
    """Which files are vassals. Paths are absolute."""

    sources: tuple[str, ...]
    more_endings: tuple[str, ...] = ()
    follows_links: bool = True
    follows_links_to_owners: bool = True

    @classmethod
    def of(cls, options: Emperor, directory: str) -> Search:
        """What the options say. Raises ConfigError for a source of another kind."""
        return cls(
            tuple(os.path.join(directory, _local(s)) for s in options.emperor),
            options.emperor_extra_ext,
            not options.emperor_nofollow,
            not options.emperor_tyrant_nofollow,
        )

    def run(self) -> dict[str, Candidate]:
        """The vassals that are there now, by path, sorted."""
        found: dict[str, Candidate] = {}
        for source in self.sources:
            for path, directory in _files(source):
                candidate = self._candidate(path, directory)
                if candidate is not None:
                    found.setdefault(path, candidate)
        return found

    def _candidate(self, path: str, directory: str) -> Candidate | None:
        flag = self._flag(path)
        if flag is None:
            return None
        try:
            target = os.stat(path)
            link = os.lstat(path)
        except OSError:
            return None  # gone meanwhile, or a link to nothing
        if not stat.S_ISREG(target.st_mode):
            return None
        owner = target if self.follows_links_to_owners else link
        times = target if self.follows_links else link
        return Candidate(
            path,
            name=os.path.basename(path) if directory else path,
            directory=directory,
            flag=flag,
            modified_ns=times.st_mtime_ns,
            uid=owner.st_uid,
            gid=owner.st_gid,
        )

    def _flag(self, path: str) -> str | None:
        for ending in self.more_endings:
            if path.endswith(ending):
                return "--config"
        return _FLAGS.get(os.path.splitext(path)[1])


def _local(source: str) -> str:
    for scheme in _LOCAL:
        if source.startswith(scheme):
            return source[len(scheme) :]
    scheme, colon, _ = source.partition("://")
    if colon:
        raise ConfigError(
            f"emperor: vassals are found in directories and by patterns, not by {scheme}"
        )
    return source


def _files(source: str) -> Iterator[tuple[str, str]]:
    """Paths, and the directory that vassals from there work in ("": the emperor's)."""
    if os.path.isdir(source):
        try:
            names = sorted(os.listdir(source))
        except OSError:
            return
        for name in names:
            yield os.path.join(source, name), source
    else:
        for path in sorted(glob.glob(source)):
            yield path, ""


@dataclass(frozen=True)
class Recruiting:
    """How the emperor's options start a vassal."""

    program: tuple[str, ...]
    before: tuple[str, ...]
    after: tuple[str, ...]
    commands: tuple[str, ...]
    is_tyrant: bool = False
    with_users_groups: bool = False
    runs_executables: bool = False

    @classmethod
    def of(cls, options: Emperor, hooks: Hooks) -> Recruiting:
        """What the options say. Raises ConfigError for hooks that cannot be run."""
        return cls(
            program=_program(options),
            before=tuple(
                [
                    *_each("--inherit", options.vassals_inherit_before),
                    *_each("--include", options.vassals_include_before),
                    *_each("--set", options.vassal_set),
                ]
            ),
            after=tuple(
                [
                    *_each("--inherit", options.vassals_inherit),
                    *_each("--include", options.vassals_include),
                ]
            ),
            commands=(
                *_hook_commands(hooks.hook_as_vassal),
                *hooks.exec_as_vassal,
                *_start_hook(options.vassals_start_hook),
            ),
            is_tyrant=options.emperor_tyrant,
            with_users_groups=options.emperor_tyrant_initgroups,
            runs_executables=options.emperor_magic_exec,
        )

    def arguments(self, vassal: Candidate) -> list[str]:
        """The command line that becomes the vassal.

        The commands of hooks run first, in the process that becomes the vassal; one
        that fails is a vassal that fails.
        """
        name = vassal.name
        if self.runs_executables and os.access(vassal.path, os.X_OK):
            name = f"exec://{vassal.path}"
        command = [*self.program, *self.before, vassal.flag, name, *self.after]
        if not self.commands:
            return command
        # The vassal would take these for options.
        forget = f'unset {" ".join(VASSAL_VARIABLES)} && exec "$@"'
        script = " && ".join([*(f"({line})" for line in self.commands), forget])
        return ["/bin/sh", "-c", script, "vassal", *command]

    def owner(self, vassal: Candidate) -> tuple[int, int] | None:
        """Whom the vassal runs as; None: as the emperor. Raises StartupError."""
        if not self.is_tyrant:
            return None
        if not vassal.uid or not vassal.gid:
            raise StartupError("a tyrant does not run vassals that belong to root")
        return vassal.uid, vassal.gid

    def groups(self, uid: int, gid: int) -> list[int]:
        """The groups of a vassal that runs as ``uid`` and ``gid``."""
        if self.with_users_groups:
            with contextlib.suppress(KeyError):
                return os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)
        return [gid]


def _each(flag: str, values: Iterable[str]) -> Iterator[str]:
    for value in values:
        yield flag
        yield value


def _start_hook(command: str | None) -> Sequence[str]:
    return [f'{command} "$UWSGI_VASSAL_CONFIG"'] if command else []


def _hook_commands(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        action = parse_action(text)
        if action.name not in ("exec", "safeexec"):
            raise ConfigError(f"hook-as-vassal: {text!r}: only exec can be run there")
        yield action.argument if action.name == "exec" else f"{action.argument} || true"


def _program(options: Emperor) -> tuple[str, ...]:
    """What is started: the first wrapper that is there, else this server."""
    wrapper = options.emperor_wrapper
    for program in options.emperor_wrapper_override:
        if shutil.which(program):
            return (program,)
    if not wrapper:
        return _own_command()
    if not shutil.which(wrapper):
        for program in options.emperor_wrapper_fallback:
            if shutil.which(program):
                return (program,)
    return (wrapper,)


def _own_command() -> tuple[str, ...]:
    """This server, in this interpreter.

    Not ``-m``: the working directory would be searched before the library.
    """
    parent = str(Path(geuwsgi.__file__).resolve().parent.parent)
    code = (
        "import sys; "
        "sys.path[:] = [p for p in sys.path if p]; "
        f"p = {parent!r}; "
        "p in sys.path or sys.path.append(p); "
        "from geuwsgi.cli import main; "
        "sys.exit(main())"
    )
    return (sys.executable, "-c", code)


def stop_command(hook: str, name: str) -> str:
    """The shell command of vassals-stop-hook for one vassal."""
    return f"{hook} {shlex.quote(name)}"
