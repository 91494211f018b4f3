"""Find the callable that an option names.

What fails in user code is told as Python tells it, without the frames of the import
machinery and of geuwsgi. Nothing here writes to the log or ends the process.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
import tokenize
import traceback
import types
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from geuwsgi.errors import GeuwsgiError
from geuwsgi.wsgi.applications import WSGICallable

_CALLABLE = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*(\(\))?")


class ImportFailed(GeuwsgiError):
    """User code could not be loaded. The text, of one or more lines, says why."""


def import_module(name: str) -> types.ModuleType:
    """Import the module ``name``, or the file if it ends in ``.py`` or ``.wsgi``."""
    if name.endswith((".py", ".wsgi")):
        return import_file(name)
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as exc:
        raise ImportFailed(format_failure(exc)) from exc


def import_file(path: str) -> types.ModuleType:
    """Run the file ``path`` as the module ``uwsgi_file_…`` (`file_module_name`)."""
    try:
        # As Python reads sources: the encoding may be declared in them.
        with tokenize.open(path) as file:
            source = file.read()
    except FileNotFoundError:
        raise ImportFailed(f"failed to open python file {path}") from None
    except OSError as exc:
        reason = (exc.strerror or str(exc)).lower()
        raise ImportFailed(f"failed to open python file {path}: {reason}") from exc
    except (SyntaxError, UnicodeDecodeError) as exc:
        raise ImportFailed(f"failed to read python file {path}: {exc}") from exc
    try:
        code = compile(source, path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as exc:
        raise ImportFailed(f"{format_failure(exc)}\nfailed to compile {path}") from exc
    module = types.ModuleType(file_module_name(path))
    module.__file__ = path
    return _run(code, module)


def evaluate(source: str) -> types.ModuleType:
    """Run ``source`` as the module ``uwsgi_eval_config`` (uWSGI: eval)."""
    try:
        code = compile(source, "<eval>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as exc:
        raise ImportFailed(format_failure(exc)) from exc
    return _run(code, types.ModuleType("uwsgi_eval_config"))


def file_module_name(path: str) -> str:
    """Return the name uWSGI gives a module that it loads from a file."""
    name = path.removesuffix(".py").replace("/", "_").replace(".", "_")
    return f"uwsgi_file_{name}"


def split_callable(text: str) -> tuple[str, str]:
    """Split ``pkg.mod:callable``; the second part is empty if there is none."""
    module, _, name = text.partition(":")
    return module, name


def find_callable(module: types.ModuleType, name: str, where: str) -> WSGICallable:
    """Return what ``name`` (``app``, ``site.app``, ``make_app()``) is in ``module``.

    ``where`` names the module in messages. Raises ImportFailed.
    """
    match = _CALLABLE.fullmatch(name)
    if match is None:
        raise ImportFailed(f'"{name}" is not the name of a callable (in {where})')
    found: Any = module
    for part in name.removesuffix("()").split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise ImportFailed(f'unable to find "{name}" callable in {where}') from None
    if match[1]:
        try:
            found = found()
        except (Exception, SystemExit) as exc:
            raise ImportFailed(format_failure(exc)) from exc
    if not callable(found):
        kind = type(found).__name__
        raise ImportFailed(f'"{name}" in {where} is not callable but a {kind}')
    return found  # type: ignore[no-any-return]


def load_paste(
    uri: str, *, name: str | None = None, logging_file: str | None = None
) -> WSGICallable:
    """Load the application of a PasteDeploy ``uri`` (``config:/srv/app.ini``).

    With ``logging_file`` its logging sections are applied first. Raises ImportFailed,
    also if PasteDeploy is not installed.
    """
    try:
        deploy = importlib.import_module("paste.deploy")
    except ImportError as exc:
        raise ImportFailed(
            f"{uri} needs the package PasteDeploy (pip install PasteDeploy): {exc}"
        ) from exc
    try:
        if logging_file:
            apply_logging(logging_file)
        found = deploy.loadapp(uri, name=name)
    except (Exception, SystemExit) as exc:
        raise ImportFailed(format_failure(exc)) from exc
    if not callable(found):
        raise ImportFailed(f"{uri} gives no callable but a {type(found).__name__}")
    return found  # type: ignore[no-any-return]


def apply_logging(path: str) -> None:
    """Configure the logging module from the ini file ``path``, if it says anything."""
    configparser = importlib.import_module("configparser")
    logging_config = importlib.import_module("logging.config")
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(path)
    if parser.has_section("loggers"):
        full = os.path.abspath(path)
        logging_config.fileConfig(
            full,
            {"__file__": full, "here": os.path.dirname(full)},
            disable_existing_loggers=False,
        )


def declared_applications(module: types.ModuleType | None) -> Mapping[Any, Any] | None:
    """Return the dict ``applications`` of ``module`` or of ``uwsgi``, if there is one."""
    for one in (sys.modules.get("uwsgi"), module):
        found = getattr(one, "applications", None)
        if isinstance(found, Mapping) and found:
            return found
    return None


def format_failure(exc: BaseException) -> str:
    """Return the traceback of ``exc`` as Python would print it for user code."""
    if isinstance(exc, SystemExit):
        frames = traceback.format_exception(type(exc), exc, _user_frames(exc))
        return "".join(frames).rstrip() + "\nthe application called sys.exit()"
    frames = traceback.format_exception(type(exc), exc, _user_frames(exc))
    return "".join(frames).rstrip()


def _user_frames(exc: BaseException) -> TracebackType | None:
    """The traceback from the first frame that is neither ours nor an importer's."""
    frame = exc.__traceback__
    while frame is not None:
        name = frame.tb_frame.f_code.co_filename
        if name != __file__ and not _is_importer(name):
            return frame
        frame = frame.tb_next
    return None


def _is_importer(name: str) -> bool:
    return name.startswith("<frozen importlib") or name == importlib.__file__


def _run(code: types.CodeType, module: types.ModuleType) -> types.ModuleType:
    name = module.__name__
    sys.modules[name] = module
    try:
        exec(code, module.__dict__)
    except (Exception, SystemExit) as exc:
        sys.modules.pop(name, None)
        raise ImportFailed(format_failure(exc)) from exc
    return sys.modules.get(name, module)
