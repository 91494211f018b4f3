"""Vassals that are started when somebody connects to their socket.

The emperor listens in their place, and passes the socket on as descriptor 0; it keeps
it, too, so that nobody is refused while a vassal starts, or has ended for want of
visitors (uWSGI: die-on-idle) and sleeps again.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable, Container
from dataclasses import dataclass

from geuwsgi.errors import ConfigErrors, GeuwsgiError, StartupError
from geuwsgi.master.realm import Candidate
from geuwsgi.net.listeners import Listener, SocketOptions, Spec, open_listeners
from geuwsgi.options import Emperor

_COMMAND_LIMIT_S = 10.0


@dataclass(frozen=True)
class Demand:
    """How the options say that a vassal is one on demand, and where its socket is."""

    ending: str = ""
    directory: str = ""
    command: str = ""

    @classmethod
    def of(cls, options: Emperor, directory: str) -> Demand:
        sockets = options.emperor_on_demand_dir
        return cls(
            ending=options.emperor_on_demand_ext or "",
            directory=os.path.join(directory, sockets) if sockets else "",
            command=options.emperor_on_demand_exec or "",
        )

    def address_of(self, vassal: Candidate) -> str:
        """The address of the vassal's socket; empty if it is always there.

        Raises StartupError if it cannot be found out.
        """
        if self.ending:
            return self._written(vassal.path + self.ending)
        if self.directory:
            return os.path.join(
                self.directory, f"{os.path.basename(vassal.path)}.socket"
            )
        if self.command:
            return self._asked(vassal)
        return ""

    @staticmethod
    def _written(path: str) -> str:
        try:
            with open(path, encoding="utf-8", errors="surrogateescape") as file:
                return file.readline().strip()
        except FileNotFoundError:
            return ""
        except OSError as exc:
            raise StartupError(f"{path}: {exc.strerror}") from exc

    def _asked(self, vassal: Candidate) -> str:
        line = f"{self.command} {shlex.quote(vassal.name)}"
        try:
            ended = subprocess.run(
                ["/bin/sh", "-c", line],
                cwd=vassal.directory or None,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                timeout=_COMMAND_LIMIT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise StartupError(f"{line!r} does not end") from None
        printed = ended.stdout.decode("utf-8", "surrogateescape").strip()
        return "" if ended.returncode else printed


class Doors:
    """The sockets of vassals on demand, by the vassals' paths."""

    def __init__(
        self,
        options: SocketOptions,
        watch: Callable[[int, Callable[[], None]], None],
        unwatch: Callable[[int], None],
    ) -> None:
        self._options = options
        self._watch = watch
        self._unwatch = unwatch
        self._open: dict[str, tuple[str, Listener]] = {}
        self._watched: set[str] = set()

    def listen(self, path: str, address: str, called: Callable[[], None]) -> None:
        """Have ``called`` when somebody connects. Raises StartupError."""
        known = self._open.get(path)
        if known is not None and known[0] != address:
            self.close(path)
            known = None
        if known is None:
            try:
                (listener,) = open_listeners([Spec("socket", address)], self._options)
            except (GeuwsgiError, ConfigErrors) as exc:
                raise StartupError(f"on demand: {exc}") from exc
            known = self._open[path] = (address, listener)
        if path not in self._watched:
            self._watched.add(path)
            self._watch(known[1].fileno(), lambda: self._answer(path, called))

    def addresses(self) -> dict[str, str]:
        """Where is listened for each vassal on demand."""
        return {path: address for path, (address, _) in self._open.items()}

    def pass_on(self, path: str) -> int | None:
        """The descriptor for a vassal that was called; None if it has no socket."""
        known = self._open.get(path)
        return None if known is None else known[1].fileno()

    def close(self, path: str) -> None:
        if path in self._open:
            self._rest(path)
            _, listener = self._open.pop(path)
            listener.close(vacuum=True)

    def keep_only(self, paths: Container[str]) -> None:
        """Close the sockets of vassals that are not among ``paths`` any more."""
        for path in list(self._open):
            if path not in paths:
                self.close(path)

    def _answer(self, path: str, called: Callable[[], None]) -> None:
        # Who knocks stays there until the vassal lets him in.
        self._rest(path)
        called()

    def _rest(self, path: str) -> None:
        if path in self._watched:
            self._watched.discard(path)
            self._unwatch(self._open[path][1].fileno())
