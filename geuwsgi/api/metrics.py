"""Metrics and SNMP numbers in the ``uwsgi`` module."""

from __future__ import annotations

import operator
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING

from geuwsgi.background.builtinmetrics import BuiltinMetrics
from geuwsgi.shared.arithmetic import Arithmetic
from geuwsgi.shared.snmp import COUNTER32, COUNTER64, GAUGE

if TYPE_CHECKING:
    from geuwsgi.api.context import ApiContext
    from geuwsgi.shared.metrics import Metrics
    from geuwsgi.shared.snmp import SnmpNumbers


def install(module: ModuleType, context: ApiContext) -> None:
    """Set the functions; those of SNMP only with the option."""
    builtin = BuiltinMetrics(context.scoreboard, context.numproc)
    functions = MetricFunctions(context.commons.metrics, builtin)
    for name in MetricFunctions.NAMES:
        setattr(module, name, getattr(functions, name))
    if context.commons.snmp is not None:
        for name, function in snmp_functions(context.commons.snmp).items():
            setattr(module, name, function)


class MetricFunctions:
    """Values are 64-bit numbers. Without ``enable-metrics`` all is 0 and None."""

    NAMES = (
        "metric_get",
        "metric_set",
        "metric_inc",
        "metric_dec",
        "metric_mul",
        "metric_div",
        "metric_set_max",
        "metric_set_min",
    )

    def __init__(self, metrics: Metrics | None, builtin: BuiltinMetrics) -> None:
        self._metrics = metrics
        self._builtin = builtin

    def metric_get(self, name: str, /) -> int:
        """Return a value, 0 for an unknown metric."""
        _check_name(name)
        if self._metrics is None:
            return 0
        value = self._metrics.get(name)
        return (self._builtin.get(name) if value is None else value) or 0

    def metric_set(self, name: str, value: int = 1, /) -> bool | None:
        """Set a metric: True, or None if it is unknown or not the application's."""
        return self._change(name, lambda old, new: new, value)

    def metric_inc(self, name: str, value: int = 1, /) -> bool | None:
        """Add to a metric."""
        return self._change(name, Arithmetic.INC.apply, value)

    def metric_dec(self, name: str, value: int = 1, /) -> bool | None:
        """Subtract from a metric."""
        return self._change(name, Arithmetic.DEC.apply, value)

    def metric_mul(self, name: str, value: int = 1, /) -> bool | None:
        """Multiply a metric."""
        return self._change(name, Arithmetic.MUL.apply, value)

    def metric_div(self, name: str, value: int = 1, /) -> bool | None:
        """Divide a metric, towards zero; None by zero."""
        if not operator.index(value):
            return None
        return self._change(name, Arithmetic.DIV.apply, value)

    def metric_set_max(self, name: str, value: int = 1, /) -> bool | None:
        """Raise a metric to a value, unless it is there or above."""
        return self._change(name, max, value)

    def metric_set_min(self, name: str, value: int = 1, /) -> bool | None:
        """Lower a metric to a value, unless it is there or below."""
        return self._change(name, min, value)

    def _change(
        self, name: str, function: Callable[[int, int], int], value: int
    ) -> bool | None:
        _check_name(name)
        amount = operator.index(value)
        if not -(1 << 63) <= amount < 1 << 63:
            raise OverflowError("Python int too large to convert to C long")
        if self._metrics is None:
            return None
        return self._metrics.change(name, function, amount) or None


def snmp_functions(numbers: SnmpNumbers) -> dict[str, Callable[..., bool | None]]:
    """Return the functions over ``numbers`` by name."""
    functions: dict[str, Callable[..., bool | None]] = {}
    for kind_name, kind in (
        ("counter32", COUNTER32),
        ("counter64", COUNTER64),
        ("gauge", GAUGE),
    ):
        functions[f"snmp_set_{kind_name}"] = _snmp_set(numbers, kind)
        functions[f"snmp_incr_{kind_name}"] = _snmp_add(numbers, kind, 1)
        functions[f"snmp_decr_{kind_name}"] = _snmp_add(numbers, kind, -1)
    for name, function in functions.items():
        function.__name__ = function.__qualname__ = name
    functions["snmp_set_community"] = _snmp_set_community(numbers)
    return functions


def _snmp_set(numbers: SnmpNumbers, kind: int) -> Callable[..., bool | None]:
    def set_number(number: int, value: int, /) -> bool | None:
        """Set one of the numbers 1 to 100: True, or None for another number."""
        place, amount = operator.index(number), operator.index(value)
        return numbers.set(place, kind, amount) or None

    return set_number


def _snmp_add(numbers: SnmpNumbers, kind: int, sign: int) -> Callable[..., bool | None]:
    def add_to_number(number: int, value: int = 1, /) -> bool | None:
        """Change one of the numbers 1 to 100: True, or None for another number."""
        place, amount = operator.index(number), operator.index(value)
        return numbers.add(place, kind, sign * amount) or None

    return add_to_number


def _snmp_set_community(numbers: SnmpNumbers) -> Callable[..., bool | None]:
    def snmp_set_community(community: str, /) -> bool:
        """Have requests answered that say this community. True."""
        _check_name(community)
        numbers.set_community(community.encode())
        return True

    return snmp_set_community


def _check_name(name: str) -> None:
    if not isinstance(name, str):
        raise TypeError(f"a name is a str, not {type(name).__name__}")
