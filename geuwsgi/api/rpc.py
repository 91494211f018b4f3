"""Remote calls in the ``uwsgi`` module."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

from geuwsgi.background import remote
from geuwsgi.errors import RemoteProtocolError

if TYPE_CHECKING:
    from geuwsgi.api.context import ApiContext
    from geuwsgi.background.rpc import RpcTable


def install(module: ModuleType, context: ApiContext) -> None:
    """Set the functions."""
    functions = RpcFunctions(context.background.rpc)
    for name in RpcFunctions.NAMES:
        setattr(module, name, getattr(functions, name))


class RpcFunctions:
    """Names and arguments are bytes; so are results, None if there is none."""

    NAMES = ("register_rpc", "rpc", "call", "rpc_list")

    def __init__(self, table: RpcTable) -> None:
        self._table = table

    def register_rpc(
        self, name: str, function: Callable[..., Any], argc: int = 0, /
    ) -> bool:
        """Offer a function. Raises ValueError for an impossible name."""
        if not isinstance(name, str):
            raise TypeError(f"a name is a str, not {type(name).__name__}")
        try:
            self._table.register(name.encode(), function)
        except ValueError:
            raise ValueError("unable to register rpc function") from None
        return True

    def rpc(self, *arguments: Any) -> bytes | None:
        """Call a function on a server: ``rpc(node, name, *arguments)``.

        ``node`` is ``host:port`` or a socket's path; ``b""`` and None are this
        process. Raises ValueError if name or arguments are not bytes.
        """
        if len(arguments) < 2:
            raise ValueError("unable to call rpc function")
        node, name, *rest = arguments
        _check(name, rest)
        address = node.decode() if isinstance(node, bytes) else node
        if not isinstance(address, str) or not address:
            return self._table.call(name, rest) or None
        try:
            return remote.call(address, name, rest) or None
        except (OSError, RemoteProtocolError, ValueError):
            return None

    def call(self, *arguments: Any) -> bytes | None:
        """Call a function of this process: ``call(name, *arguments)``."""
        if not arguments:
            raise ValueError("unable to call rpc function")
        name, *rest = arguments
        _check(name, rest)
        return self._table.call(name, rest) or None

    def rpc_list(self) -> tuple[bytes, ...]:
        """Return the names of the functions of this process."""
        return self._table.names()


def _check(name: Any, arguments: list[Any]) -> None:
    if not all(isinstance(value, bytes) for value in (name, *arguments)):
        raise ValueError("unable to call rpc function")
