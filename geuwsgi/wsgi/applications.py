"""The applications of a process, and which of them a request is for.

An application is found by the ``SCRIPT_NAME`` (or ``UWSGI_APPID``) the front server
sent, or with manage-script-name by the longest mountpoint its path begins with. If
none fits, the default application answers: the one without a mountpoint, else the
first that was loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

WSGICallable = Callable[..., Any]
Environ = dict[str, Any]


@dataclass(slots=True, eq=False)
class Application:
    """A loaded application.

    ``number`` is its index in log lines and statistics, ``startup_s`` the whole
    seconds its loading took, ``chdir`` where it runs (empty: where the process does).
    The counters are the server's.
    """

    number: int
    mountpoint: str
    call: WSGICallable
    startup_s: int = 0
    chdir: str = ""
    requests: int = 0
    exceptions: int = 0


class Applications:
    """The applications by mountpoint, in the order they were loaded.

    ``find(environ)`` returns the application for a request, None if there is none. With
    ``manage_script_name`` it sets ``SCRIPT_NAME`` and ``PATH_INFO`` of the environ.
    ``host`` is the variable that stands before the mountpoint in the key of an
    application, with a ``|`` between them (uWSGI: vhost); empty for none.
    ``load`` is asked for applications that requests themselves name (see
    `geuwsgi.wsgi.loader`); without it such requests get nothing special.
    """

    def __init__(
        self,
        *,
        manage_script_name: bool = False,
        use_default: bool = True,
        ignore_script_name: bool = False,
        host: str = "",
        load: Callable[[Environ, str], WSGICallable | None] | None = None,
    ) -> None:
        self.default: Application | None = None
        self._manage_script_name = manage_script_name
        self._use_default = use_default
        self._ignore_script_name = ignore_script_name
        self._host = host
        self._load = load
        self._by_key: dict[str, Application] = {}
        self._lengths: list[int] = []
        self.find: Callable[[Environ], Application | None] = self._find

    def __len__(self) -> int:
        return len(self._by_key)

    def __iter__(self) -> Iterator[Application]:
        return iter(self._by_key.values())

    def __contains__(self, mountpoint: str) -> bool:
        return _key(mountpoint) in self._by_key

    def add(
        self, mountpoint: str, call: WSGICallable, *, startup_s: int = 0
    ) -> Application:
        """Mount ``call``; ValueError if something is mounted there."""
        key = _key(mountpoint)
        if key in self._by_key:
            raise ValueError(f"mountpoint {mountpoint} already configured. skip.")
        application = Application(len(self._by_key), mountpoint, call, startup_s)
        self._by_key[key] = application
        if key:
            path = key.rpartition("|")[2] if self._host else key
            self._lengths = sorted({*self._lengths, len(path)}, reverse=True)
        if self._use_default and (self.default is None or not key):
            self.default = application
        self._choose_way()
        return application

    def is_default(self, application: Application) -> bool:
        """Whether it answers what no mountpoint fits."""
        return application is self.default

    def _choose_way(self) -> None:
        only_one = len(self._by_key) == 1 and self.default is not None
        if only_one and not self._manage_script_name and self._load is None:
            # Nearly every site. Nothing about the request can change the answer.
            self.find = self._find_default
        elif self._manage_script_name:
            self.find = self._find_by_path
        else:
            self.find = self._find

    def _find_default(self, environ: Environ) -> Application | None:
        return self.default

    def _find(self, environ: Environ) -> Application | None:
        key = environ.get("UWSGI_APPID")
        if not key:
            key = "" if self._ignore_script_name else environ.get("SCRIPT_NAME") or ""
            if self._host:
                key = f"{environ.get(self._host) or ''}|{key}"
        application = self._by_key.get(_key(key)) or self.default
        if application is None and self._load is not None:
            call = self._load(environ, key)
            # Another greenlet may have loaded the same one meanwhile.
            application = self._by_key.get(_key(key))
            if application is None and call is not None:
                application = self.add(key, call)
        return application

    def _find_by_path(self, environ: Environ) -> Application | None:
        if environ.get("UWSGI_APPID"):
            return self._find(environ)
        path: str = environ.get("PATH_INFO", "")
        host = f"{environ.get(self._host) or ''}|" if self._host else ""
        for length in self._lengths:
            if len(path) == length or path[length : length + 1] == "/":
                application = self._by_key.get(host + path[:length])
                if application is not None:
                    environ["SCRIPT_NAME"] = path[:length]
                    environ["PATH_INFO"] = path[length:]
                    return application
        return self._find(environ)


def _key(mountpoint: str) -> str:
    """What is compared: a slash at the end means nothing, ``/`` is the root."""
    return mountpoint.rstrip("/")
