"""``geuwsgi cache``: look into and change the caches of a running server."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from geuwsgi.cache.backend import CacheBackend
from geuwsgi.cache.remote import RemoteCache
from geuwsgi.shared.arithmetic import Arithmetic

OK, NOT_DONE, UNREACHABLE = 0, 1, 2


def main(argv: Sequence[str]) -> int:
    """Do what ``argv`` says; return the exit status.

    0: done, 1: no such key, or it could not be stored, 2: no server, or not understood.
    """
    options = _parser().parse_args(argv)
    name, at, address = options.server.rpartition("@")
    if not at:
        name = options.cache
    complaints: list[str] = []
    cache = RemoteCache(address, name, timeout_s=options.timeout, log=complaints.append)
    done = _do(cache, options)
    if complaints:
        print(complaints[0], file=sys.stderr)
        return UNREACHABLE
    return OK if done else NOT_DONE


def _do(cache: CacheBackend, options: argparse.Namespace) -> bool:
    command = options.command
    if command == "keys":
        for each in sorted(cache.keys()):
            _print(each)
        return True
    if command == "clear":
        return cache.clear()
    key = options.key.encode("utf-8", "surrogateescape")
    if command == "get":
        value = cache.get(key)
        if value is not None:
            _print(value)
        return value is not None
    if command == "num":
        print(cache.number(key))
        return True
    if command in ("set", "update"):
        if options.value == "-":
            text = sys.stdin.buffer.read()
        else:
            text = options.value.encode("utf-8", "surrogateescape")
        store = cache.set if command == "set" else cache.update
        return store(key, text, options.expires)
    if command == "del":
        return cache.delete(key)
    if command == "exists":
        return cache.exists(key)
    return cache.change(key, Arithmetic(command), options.amount, options.expires)


def _print(octets: bytes) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(octets + b"\n")
    sys.stdout.buffer.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="geuwsgi cache",
        description="Look into and change the caches of a running server, over one of"
        " its uwsgi sockets.",
    )
    parser.add_argument(
        "server",
        help="where it listens: host:port or the path of a Unix socket; with the name"
        " of a cache before it: name@host:port",
    )
    parser.add_argument(
        "--cache", default="", metavar="NAME", help="a cache other than the first one"
    )
    parser.add_argument(
        "--timeout", type=float, default=4.0, metavar="SECONDS", help="default 4"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in (
        ("get", "write the value of a key"),
        ("num", "write a value as a number"),
        ("exists", "end with 0 if there is such a key, with 1 if not"),
        ("del", "remove a key"),
    ):
        commands.add_parser(name, help=text).add_argument("key")
    for name, text in (
        ("set", "store a new key"),
        ("update", "store a key, new or not"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("key")
        command.add_argument("value", help="'-' reads it from the standard input")
        _add_expires(command)
    for name, text, default in (
        ("inc", "add to a number", 1),
        ("dec", "subtract from a number", 1),
        ("mul", "multiply a number", 2),
        ("div", "divide a number", 2),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("key")
        command.add_argument("amount", type=int, nargs="?", default=default)
        _add_expires(command)
    commands.add_parser("clear", help="remove everything")
    commands.add_parser("keys", help="write all keys")
    return parser


def _add_expires(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--expires", type=int, default=0, metavar="SECONDS", help="default never"
    )
