"""Values of a Python configuration file, without running it.

Assignments of literals, arithmetic, f-strings, the number of CPUs and environment
variables are understood; everything else is reported by line. Running the file would
start whatever it imports.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import NamedTuple

from geuwsgi.config.host import Host
from geuwsgi.errors import ConfigError

_MAX_TEXT = 65536


class Beyond(Exception):
    """An expression that only running the file could tell."""


class Contents(NamedTuple):
    """What a file defines: values, names of functions, and what stays unclear."""

    values: dict[str, object]
    functions: list[tuple[str, int]]
    unclear: list[tuple[str, int]]


_OPERATORS: dict[type[ast.operator], Callable[[object, object], object]] = {
    ast.Add: lambda a, b: _added(a, b),
    ast.Sub: lambda a, b: operator.sub(_number(a), _number(b)),
    ast.Mult: lambda a, b: operator.mul(_number(a), _number(b)),
    ast.FloorDiv: lambda a, b: operator.floordiv(_number(a), _divisor(b)),
    ast.Div: lambda a, b: operator.truediv(_number(a), _divisor(b)),
}


def _number(value: object) -> float:
    if isinstance(value, int | float) and abs(value) < 1e15:
        return value
    raise Beyond


def _divisor(value: object) -> float:
    number = _number(value)
    if number == 0:
        raise Beyond
    return number


def _added(a: object, b: object) -> object:
    if isinstance(a, str) and isinstance(b, str) and len(a) + len(b) < _MAX_TEXT:
        return a + b
    if isinstance(a, list) and isinstance(b, list):
        return [*a, *b]
    return _number(a) + _number(b)


def read_python(text: str, name: str, host: Host) -> Contents:
    """The top-level assignments of a Python file. ConfigError if it is no Python."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as exc:
        line = getattr(exc, "lineno", None) or 1
        raise ConfigError(f"not Python: {exc}", f"{name}:{line}") from exc
    contents = Contents({}, [], [])
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            contents.functions.append((statement.name, statement.lineno))
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            _assign(statement, contents, host)
        elif not isinstance(statement, ast.Import | ast.ImportFrom | ast.Expr):
            contents.unclear.append((type(statement).__name__, statement.lineno))
    return contents


def _assign(
    statement: ast.Assign | ast.AnnAssign, contents: Contents, host: Host
) -> None:
    targets = (
        statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    )
    names = [target.id for target in targets if isinstance(target, ast.Name)]
    if statement.value is None:
        return
    try:
        value = _evaluate(statement.value, contents.values, host)
    except (Beyond, RecursionError):
        contents.unclear.extend((name, statement.lineno) for name in names)
        return
    for name in names:
        contents.values[name] = value


def _evaluate(node: ast.expr, values: dict[str, object], host: Host) -> object:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name) if name in values:
            return values[name]
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_evaluate(item, values, host) for item in items]
        case ast.Dict(keys=keys, values=items):
            return {
                _evaluate(key, values, host): _evaluate(item, values, host)
                for key, item in zip(keys, items, strict=True)
                if key is not None
            }
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_number(_evaluate(operand, values, host))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            a = _evaluate(left, values, host)
            return _OPERATORS[type(op)](a, _evaluate(right, values, host))
        case ast.BoolOp(op=ast.Or(), values=choices):
            return _first_true(choices, values, host)
        case ast.JoinedStr(values=parts):
            return "".join(str(_evaluate(part, values, host)) for part in parts)
        case ast.FormattedValue(value=inner, format_spec=None, conversion=-1):
            return _evaluate(inner, values, host)
        case ast.Subscript(value=value, slice=index) if _is_environ(value):
            return _variable(_evaluate(index, values, host), None, host)
        case ast.Call(func=function, args=arguments, keywords=[]):
            given = [_evaluate(argument, values, host) for argument in arguments]
            return _call(ast.unparse(function), given, host)
        case _:
            raise Beyond


def _first_true(
    choices: list[ast.expr], values: dict[str, object], host: Host
) -> object:
    value: object = None
    for choice in choices:
        value = _evaluate(choice, values, host)
        if value:
            break
    return value


def _is_environ(node: ast.expr) -> bool:
    return ast.unparse(node) in ("os.environ", "environ")


def _variable(name: object, default: object, host: Host) -> object:
    return host.environ.get(str(name), default)


def _call(function: str, arguments: list[object], host: Host) -> object:
    last = function.rpartition(".")[2]
    if last == "cpu_count" and not arguments:
        return host.cpu_count
    if function in ("os.getenv", "getenv", "os.environ.get", "environ.get"):
        if not arguments:
            raise Beyond
        return _variable(arguments[0], (arguments[1:] or [None])[0], host)
    if function in ("int", "float", "str", "bool") and len(arguments) == 1:
        value = arguments[0]
        try:
            if function == "int":
                return int(str(value).split(".")[0])
            if function == "float":
                return float(str(value))
        except ValueError as exc:
            raise Beyond from exc
        return str(value) if function == "str" else bool(value)
    if function in ("max", "min") and arguments:
        numbers = [_number(argument) for argument in arguments]
        return max(numbers) if function == "max" else min(numbers)
    raise Beyond
