"""Load the applications that the python options name.

This runs in the template process, or in each worker with lazy-apps, after
monkey-patching and `prepare_interpreter`. What cannot be loaded is told to the log and
left out; whether to go on without it (need-app) is the caller's decision, by
``len(applications)``. The lines are those of uWSGI, because people grep them.
"""

from __future__ import annotations

import os
import sys
import time
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from geuwsgi.errors import StartupError
from geuwsgi.options.python import Python
from geuwsgi.wsgi.applications import Applications, Environ, WSGICallable
from geuwsgi.wsgi.importing import (
    ImportFailed,
    declared_applications,
    evaluate,
    find_callable,
    import_file,
    import_module,
    load_paste,
    split_callable,
)

Report = Callable[[str], None]
Load = Callable[[], "WSGICallable | types.ModuleType"]

DEFAULT_CALLABLE = "application"


def report_to_stderr(line: str) -> None:
    """Write a line to standard error, at once."""
    print(line, file=sys.stderr, flush=True)


def load_applications(
    python: Python, report: Report = report_to_stderr
) -> Applications:
    """Import what is to be imported, then load every application the options name.

    Raises StartupError for an option that cannot be meant.
    """
    return _Loader(python, report).load()


def import_all(names: Iterable[str], report: Report = report_to_stderr) -> None:
    """Import modules and files (uWSGI: import, shared-import); a failure is told."""
    for name in names:
        try:
            import_module(name)
        except ImportFailed as exc:
            report(str(exc))


def alias_modules(pairs: Iterable[str], report: Report = report_to_stderr) -> None:
    """Have ``import a`` give module ``b`` for each ``a=b`` (uWSGI: pymodule-alias)."""
    for pair in pairs:
        alias, _, name = pair.partition("=")
        if not alias or not name:
            raise StartupError(f"pymodule-alias: {pair!r} is not alias=module")
        try:
            sys.modules[alias] = import_module(name)
        except ImportFailed as exc:
            report(str(exc))


def _host_variable(python: Python) -> str:
    if python.vhost_host:
        return "HTTP_HOST"
    return "SERVER_NAME" if python.vhost else ""


class _Loader:
    def __init__(self, python: Python, report: Report) -> None:
        self._python = python
        self._report = report
        self._callable = python.callable_ or DEFAULT_CALLABLE
        self._applications = Applications(
            manage_script_name=python.manage_script_name,
            use_default=not python.no_default_app,
            ignore_script_name=python.ignore_script_name,
            host=_host_variable(python),
            load=self._load_dynamic if python.dynamic_apps else None,
        )

    def load(self) -> Applications:
        python = self._python
        mounts = [_split_mount(text) for text in python.mount]
        alias_modules(python.pymodule_alias, self._report)
        import_all(python.import_, self._report)
        alias_modules(python.post_pymodule_alias, self._report)
        for mountpoint, source in self._sources():
            self._mount(mountpoint, source)
        for mountpoint, name in mounts:
            self._report(f"mounting {name} on {mountpoint}")
            self._mount(mountpoint, self._named(name))
        if not self._applications:
            self._report(
                "*** no app loaded. GAME OVER ***"
                if python.need_app
                else "*** no app loaded. going in full dynamic mode ***"
            )
        return self._applications

    def _sources(self) -> Iterator[tuple[str, Load]]:
        python = self._python
        if python.module:
            yield "", self._module(python.module)
        if python.wsgi_file:
            yield "", self._file(python.wsgi_file)
        if python.paste:
            yield "", self._paste(python.paste, python.paste_logger)
        if python.ini_paste:
            yield "", self._paste(_paste_uri(python.ini_paste), python.paste_logger)
        if python.ini_paste_logged:
            yield "", self._paste(_paste_uri(python.ini_paste_logged), True)
        if python.eval_:
            source = python.eval_
            yield "", lambda: self._callable_of(evaluate(source), "", "eval")

    def _named(self, name: str) -> Load:
        return (
            self._file(name) if name.endswith((".py", ".wsgi")) else self._module(name)
        )

    def _module(self, text: str) -> Load:
        name, callable_name = split_callable(text)

        def load() -> WSGICallable | types.ModuleType:
            module = import_module(name)
            return self._callable_of(module, callable_name, f"module {name}")

        return load

    def _file(self, path: str) -> Load:
        return lambda: self._callable_of(import_file(path), "", f"file {path}")

    def _paste(self, uri: str, logged: bool) -> Load:
        logging_file = uri.partition(":")[2].partition("#")[0] if logged else None
        return lambda: load_paste(
            uri, name=self._python.paste_name, logging_file=logging_file
        )

    def _callable_of(
        self, module: types.ModuleType, name: str, where: str
    ) -> WSGICallable | types.ModuleType:
        """The callable; the module itself if it declares several applications."""
        if not name and declared_applications(module) is not None:
            return module
        return find_callable(module, name or self._callable, where)

    def _mount(self, mountpoint: str, load: Load) -> None:
        if mountpoint in self._applications:
            self._report(f"mountpoint {mountpoint} already configured. skip.")
            return
        started = time.monotonic()
        try:
            found = load()
            if isinstance(found, types.ModuleType):
                self._mount_declared(found, started)
                return
        except ImportFailed as exc:
            number = len(self._applications)
            self._report(str(exc))
            self._report(
                f"unable to load app {number} (mountpoint='{mountpoint}')"
                " (callable not found or import error)"
            )
            return
        self._add(mountpoint, found, started)

    def _mount_declared(self, module: types.ModuleType, started: float) -> None:
        """Mount the entries of an ``applications`` dict."""
        self._report("found a multiapp module...")
        for mountpoint, value in (declared_applications(module) or {}).items():
            text = mountpoint.decode() if isinstance(mountpoint, bytes) else mountpoint
            if not isinstance(text, str):
                self._report(f"the app mountpoint must be a string, not {text!r}")
                continue
            self._mount(text, self._declared(value))

    def _declared(self, value: Any) -> Load:
        if isinstance(value, bytes):
            value = value.decode()
        if isinstance(value, str):
            return self._named(value)

        def load() -> WSGICallable:
            if not callable(value):
                raise ImportFailed(f"{value!r} in applications is not callable")
            return value  # type: ignore[no-any-return]

        return load

    def _add(self, mountpoint: str, call: WSGICallable, started: float) -> None:
        elapsed = int(time.monotonic() - started)
        applications = self._applications
        application = applications.add(mountpoint, call, startup_s=elapsed)
        suffix = " (default app)" if applications.is_default(application) else ""
        self._report(
            f"WSGI app {application.number} (mountpoint='{mountpoint}') ready in"
            f" {elapsed} seconds on interpreter 0x{id(sys.modules):x}"
            f" pid: {os.getpid()}{suffix}"
        )

    def _load_dynamic(self, environ: Environ, key: str) -> WSGICallable | None:
        """Load what the request names (uWSGI does unasked; here: dynamic-apps)."""
        script = environ.get("UWSGI_FILE") or environ.get("UWSGI_SCRIPT")
        module = environ.get("UWSGI_MODULE")
        if not (script or module):
            return None
        name = environ.get("UWSGI_CALLABLE") or ""
        try:
            if script and script.endswith((".py", ".wsgi")):
                found = self._callable_of(import_file(script), name, f"file {script}")
            else:
                text = script or module or ""
                text, own_name = split_callable(text)
                found = self._callable_of(
                    import_module(text), own_name or name, f"module {text}"
                )
        except ImportFailed as exc:
            self._report(str(exc))
            return None
        if isinstance(found, types.ModuleType):
            found = find_callable(found, self._callable, f"module {found.__name__}")
        self._report(f"WSGI app (mountpoint='{key}') loaded on request (dynamic app)")
        return found


def _split_mount(text: str) -> tuple[str, str]:
    mountpoint, separator, name = text.partition("=")
    if not separator:
        raise StartupError(f"mount: {text!r} is not mountpoint=application")
    return mountpoint.strip(), name.strip()


def _paste_uri(path: str) -> str:
    return path if path.startswith("config:") else f"config:{os.path.abspath(path)}"
