"""The exceptions of geuwsgi, and whose fault each one is.

``RemoteProtocolError``
    The peer broke the rules. It is told so (``status``), the log gets one line,
    nobody gets a traceback.
``LocalProtocolError``
    The application, or geuwsgi itself, did. The log gets a traceback.
``Disconnected``
    The peer went away. Nobody's fault; a debug line at most.
``ConfigError``
    The configuration is wrong at a known place. ``ConfigErrors`` holds all of them.
``StartupError``
    The world refuses what the configuration asks for (a port in use, no
    application). It carries the exit status.

Operating system errors are translated into these once, where they arise.
"""

from __future__ import annotations

from collections.abc import Sequence


class GeuwsgiError(Exception):
    """The root of all exceptions that geuwsgi raises on purpose."""


class ProtocolError(GeuwsgiError):
    """A message was not what its protocol allows."""


class RemoteProtocolError(ProtocolError):
    """The peer broke the protocol.

    ``status`` is the HTTP status the peer is told (400, 413, 414, 431, 501, …); on
    protocols that cannot carry one the connection is closed instead.
    """

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class LocalProtocolError(ProtocolError):
    """The application, or geuwsgi, tried to send what the protocol forbids."""


class Disconnected(GeuwsgiError):
    """The peer closed or reset the connection, or was cut off."""


class PeerTimeout(Disconnected):
    """The peer sent or read nothing for longer than it is allowed to."""


class ConfigError(GeuwsgiError):
    """One wrong thing in the configuration, and where it stands.

    ``origin`` is printed before the message: ``app.ini:8``, ``command line``,
    ``environment UWSGI_HTTP``; empty if there is no place to name.
    """

    def __init__(self, message: str, origin: str = "") -> None:
        super().__init__(f"{origin}: {message}" if origin else message)
        self.message = message
        self.origin = origin


class ConfigErrors(GeuwsgiError):
    """Everything that is wrong in the configuration, in order of appearance."""

    def __init__(self, errors: Sequence[ConfigError]) -> None:
        super().__init__("\n".join(str(error) for error in errors))
        self.errors = tuple(errors)


class StartupError(GeuwsgiError):
    """The server cannot start. ``exit_status`` is what the process ends with."""

    def __init__(self, message: str, exit_status: int = 1) -> None:
        super().__init__(message)
        self.exit_status = exit_status
