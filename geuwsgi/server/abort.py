"""How the server ends a request that the application would not end."""

from __future__ import annotations


class RequestAborted(BaseException):
    """Thrown into a request's greenlet: it must end now.

    A BaseException, like gevent.Timeout, so that ``except Exception`` in the
    application does not take it for one of its own. ``status`` is what the client is
    told if nothing was sent yet.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status
