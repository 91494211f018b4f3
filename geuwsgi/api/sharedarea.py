"""The ``sharedarea_*`` functions of the ``uwsgi`` module; only if there is an area."""

from __future__ import annotations

import operator
import time
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

import gevent

from geuwsgi.api.basic import as_bytes
from geuwsgi.background.locks import CommonLock

if TYPE_CHECKING:
    from geuwsgi.api.context import ApiContext
    from geuwsgi.shared.areas import SharedArea, SharedAreas

_WIDTHS = {"8": 1, "16": 2, "32": 4, "64": 8}
_ALIASES = {
    "sharedarea_readbyte": "sharedarea_read8",
    "sharedarea_writebyte": "sharedarea_write8",
    "sharedarea_readlong": "sharedarea_read64",
    "sharedarea_writelong": "sharedarea_write64",
    "sharedarea_inclong": "sharedarea_inc64",
    "sharedarea_declong": "sharedarea_dec64",
}


def install(module: ModuleType, context: ApiContext) -> None:
    """Set the functions if there is an area."""
    areas = context.commons.areas
    if areas is not None:
        for name, function in area_functions(areas).items():
            setattr(module, name, function)


def area_functions(areas: SharedAreas) -> dict[str, Callable[..., Any]]:
    """Return the functions by name.

    They raise ValueError for an area or a place that does not exist.
    """
    functions = AreaFunctions(areas)
    named: dict[str, Callable[..., Any]] = {
        name: getattr(functions, name) for name in AreaFunctions.NAMES
    }
    for suffix, width in _WIDTHS.items():
        named[f"sharedarea_read{suffix}"] = functions.reader(suffix, width)
        named[f"sharedarea_write{suffix}"] = functions.writer(suffix, width)
        if width >= 4:
            named[f"sharedarea_inc{suffix}"] = functions.adder("inc", suffix, width, 1)
            named[f"sharedarea_dec{suffix}"] = functions.adder("dec", suffix, width, -1)
    for alias, name in _ALIASES.items():
        named[alias] = named[name]
    return named


class AreaFunctions:
    """See ``geuwsgi.shared.areas``."""

    NAMES = (
        "sharedarea_read",
        "sharedarea_write",
        "sharedarea_rlock",
        "sharedarea_wlock",
        "sharedarea_unlock",
        "sharedarea_memoryview",
        "sharedarea_object",
        "sharedarea_update",
        "sharedarea_wait",
    )

    def __init__(self, areas: SharedAreas) -> None:
        self._areas = areas
        self._locks = [
            CommonLock(areas.locks, number) for number in range(len(areas.areas))
        ]

    def sharedarea_read(self, area: int, position: int, length: int = 0, /) -> bytes:
        """Return bytes of an area, all from ``position`` on without a length."""
        name = "sharedarea_read"
        found = self._find(area, name)
        position, length = operator.index(position), operator.index(length)
        try:
            return found.read(position, length)
        except IndexError as exc:
            raise _failure(name) from exc

    def sharedarea_write(self, area: int, position: int, text: str | bytes, /) -> None:
        """Write bytes into an area."""
        name = "sharedarea_write"
        found, octets = self._find(area, name), as_bytes(text)
        try:
            found.write(operator.index(position), octets)
        except IndexError as exc:
            raise _failure(name) from exc

    def sharedarea_rlock(self, area: int, /) -> None:
        """Wait for the area's lock and share it with other readers."""
        self._find(area, "sharedarea_rlock")
        self._locks[area].acquire(shared=True)

    def sharedarea_wlock(self, area: int, /) -> None:
        """Wait for the area's lock and take it alone."""
        self._find(area, "sharedarea_wlock")
        self._locks[area].acquire()

    def sharedarea_unlock(self, area: int, /) -> None:
        """Give the area's lock back."""
        self._find(area, "sharedarea_unlock")
        self._locks[area].release()

    def sharedarea_memoryview(self, area: int, /) -> memoryview:
        """Return a writable view of the whole area."""
        try:
            return self._find(area, "").memory
        except ValueError:
            raise ValueError(
                f"cannot get a memoryview object from sharedarea {area}"
            ) from None

    def sharedarea_object(self, area: int, /) -> memoryview:
        """Return the memory of a ``py-sharedarea``.

        A view and no bytearray: a bytearray could not be shared by processes.
        """
        number = operator.index(area)
        if not 0 <= number < len(self._areas.areas):
            raise ValueError(f"cannot get an object from sharedarea {area}")
        found = self._areas.areas[number]
        if not found.is_bytearray:
            raise SystemError(f"sharedarea {area} has no Python object")
        return found.memory

    def sharedarea_update(self, area: int, /) -> None:
        """Wake who waits in ``sharedarea_wait`` for this area."""
        self._find(area, "sharedarea_update")
        self._areas.mutex.call(self._areas.announce_update, area)

    def sharedarea_wait(self, area: int, freq: int = 100, timeout: int = 0, /) -> bool:
        """Wait for an update of the area; False after ``timeout`` seconds.

        Looks every ``freq`` milliseconds. Only the calling greenlet waits.
        """
        self._find(area, "sharedarea_wait")
        before = self._areas.updates(area)
        until = time.monotonic() + timeout if timeout else float("inf")
        while self._areas.updates(area) == before:
            if time.monotonic() >= until:
                return False
            gevent.sleep(max(1, freq) / 1000)
        return True

    def reader(self, suffix: str, width: int) -> Callable[[int, int], int]:
        name = f"sharedarea_read{suffix}"

        def read(area: int, position: int, /) -> int:
            found = self._find(area, name)
            try:
                return found.read_number(operator.index(position), width)
            except IndexError as exc:
                raise _failure(name) from exc

        return _named(read, name, f"Return the signed {8 * width}-bit number.")

    def writer(self, suffix: str, width: int) -> Callable[[int, int, int], None]:
        name = f"sharedarea_write{suffix}"

        def write(area: int, position: int, value: int, /) -> None:
            found, number = self._find(area, name), operator.index(value)
            _check_range(number, width, name)
            try:
                found.write_number(operator.index(position), width, number)
            except IndexError as exc:
                raise _failure(name) from exc

        return _named(write, name, f"Write a {8 * width}-bit number.")

    def adder(
        self, verb: str, suffix: str, width: int, sign: int
    ) -> Callable[..., None]:
        name = f"sharedarea_{verb}{suffix}"

        def add(area: int, position: int, value: int = 1, /) -> None:
            found, amount = self._find(area, name), operator.index(value)
            half = 1 << (8 * width - 1)
            if not -half <= amount < half:
                raise OverflowError(f"{amount} does not fit {8 * width} bits")
            place = operator.index(position)
            try:
                self._areas.mutex.call(found.add, place, width, sign * amount)
            except IndexError as exc:
                raise _failure(name) from exc

        return _named(add, name, f"Add to a {8 * width}-bit number, atomically.")

    def _find(self, area: int, name: str) -> SharedArea:
        number = operator.index(area)
        if not 0 <= number < len(self._areas.areas):
            raise _failure(name)
        return self._areas.areas[number]


def _check_range(number: int, width: int, name: str) -> None:
    """Refuse what uWSGI refuses to write: 32 bits are cut without a word."""
    if width == 1 and not 0 <= number < 1 << 8:
        raise OverflowError("a byte is a number from 0 to 255")
    if width == 2 and not 0 <= number < 1 << 16:
        raise _failure(name)
    if width == 8 and not -(1 << 63) <= number < 1 << 63:
        raise OverflowError("int too big to convert")


def _failure(name: str) -> ValueError:
    return ValueError(f"error calling uwsgi_{name}()")


def _named(function: Callable[..., Any], name: str, text: str) -> Callable[..., Any]:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = text
    return function
