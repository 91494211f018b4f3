"""The WSGI interface."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import BYTES, FLAG, INT, TEXT, TEXTS


class Wsgi(Section):
    """The WSGI interface."""

    catch_exceptions: bool = option(
        "send exception details to the client as the response", FLAG
    )
    disable_write_exception: bool = option(
        "do not raise IOError into the app when a response write fails", FLAG
    )
    exception_handler: tuple[str, ...] = option(
        "plugin action for exceptions (log, ...) with keyval details",
        TEXTS,
        implies=("master",),
    )
    ignore_sigpipe: bool = option(
        "do not log broken-pipe errors while writing the response", FLAG
    )
    ignore_write_errors: bool = option("do not log any response write error", FLAG)
    post_buffering: int = option(
        "read the whole body before calling the app; bodies above N bytes go to a temp file",
        BYTES,
        at_least=0,
        when_true=4096,
    )
    post_buffering_bufsize: int = option(
        "read chunk size of post buffering (default 8192)",
        BYTES,
        default=8192,
        at_least=0,
    )
    reload_on_exception: bool = option(
        "exit the worker (code 5) after an uncaught exception", FLAG
    )
    reload_on_exception_repr: tuple[str, ...] = option(
        "same for one class+message", TEXTS
    )
    reload_on_exception_type: tuple[str, ...] = option(
        "same for one exception class", TEXTS
    )
    reload_on_exception_value: tuple[str, ...] = option(
        "same for one exception message", TEXTS
    )
    start_response_nodelay: bool = option(
        "send headers at start_response rather than at the first body chunk",
        FLAG,
        name="start_response-nodelay",
    )
    upload_progress: str | None = option(
        "directory for JSON upload progress files (X-Progress-ID)", TEXT
    )
    write_errors_exception_only: bool = option(
        "silence SIGPIPE and write-error log lines, leaving only the exception in the app",
        FLAG,
    )
    write_errors_tolerance: int = option(
        "number of failed response writes tolerated before IOError is raised into the app (default 0)",
        INT,
        at_least=0,
    )
    wsgi_accept_buffer: bool = option(
        "accept buffer objects as response chunks",
        FLAG,
        aliases=("wsgi-accept-buffers",),
    )
    wsgi_disable_file_wrapper: bool = option("leave wsgi.file_wrapper out", FLAG)
    wsgi_env_behaviour: str | None = option(
        "holy: new environ dict per request; cheat: recycle one per core (default)",
        TEXT,
        aliases=("wsgi-env-behavior",),
        choices=("holy", "cheat"),
    )
    wsgi_manage_chunked_input: bool = option(
        "make wsgi.input decode chunked bodies and set wsgi.input_terminated",
        FLAG,
        since="2.1",
    )
    wsgi_strict: bool = option(
        "disable shortcuts such as returning bare bytes objects", FLAG
    )
