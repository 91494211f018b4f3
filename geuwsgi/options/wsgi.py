"""The WSGI interface."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import BYTES, FLAG, TEXT, TEXTS


class Wsgi(Section):
    """The WSGI interface."""

    catch_exceptions: bool = option(
        "send the traceback of an exception to the client (for development)", FLAG
    )
    disable_write_exception: bool = option(
        "raise nothing in the application when its client is gone", FLAG
    )
    ignore_sigpipe: bool = option("do not log clients that are gone", FLAG)
    ignore_write_errors: bool = option("do not log failed writes", FLAG)
    post_buffering: int = option(
        "read bodies before the application runs, above this many bytes into a file",
        BYTES,
        at_least=0,
        when_true=4096,
    )
    reload_on_exception: bool = option("replace a worker after an exception", FLAG)
    reload_on_exception_repr: tuple[str, ...] = option(
        "replace a worker after this exception: type: text", TEXTS
    )
    reload_on_exception_type: tuple[str, ...] = option(
        "replace a worker after an exception of this type", TEXTS
    )
    reload_on_exception_value: tuple[str, ...] = option(
        "replace a worker after an exception with this text", TEXTS
    )
    upload_progress: str | None = option(
        "tell the progress of uploads with X-Progress-ID in this directory, as JSON",
        TEXT,
    )
    wsgi_accept_buffer: bool = option(
        "take any bytes-like object as a response block",
        FLAG,
        aliases=("wsgi-accept-buffers",),
    )
    wsgi_disable_file_wrapper: bool = option("offer no wsgi.file_wrapper", FLAG)
    wsgi_env_behaviour: str | None = option(
        "choose if environ is new for each request (holy) or used again (cheat)",
        TEXT,
        aliases=("wsgi-env-behavior",),
        choices=("holy", "cheat"),
    )
    wsgi_manage_chunked_input: bool = option(
        "decode chunked request bodies in wsgi.input", FLAG, since="2.1"
    )
