"""``geuwsgi top ADDRESS``: what an instance does, looked at again and again.

It reads the statistics of any uWSGI or geuwsgi, over a socket or HTTP. Drawing is pure:
two readings and the time between them make lines.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from geuwsgi.errors import StartupError
from geuwsgi.net.address import AbstractAddress, TcpAddress, UnixAddress, parse_address

USAGE = "usage: geuwsgi top ADDRESS [--once] [--every SECONDS]"
_TIMEOUT_S = 5.0
_HOME_AND_CLEAR = "\x1b[H\x1b[2J"
_COLUMNS = "{:>4} {:>8} {:<8} {:>10} {:>8} {:>6} {:>5} {:>9} {:>8} {:>8} {:>8}"
_LATENCIES = " {:>9} {:>9}"

Stats = Mapping[str, Any]


def draw(
    stats: Stats, before: Stats | None, elapsed_s: float, now: float
) -> Iterator[str]:
    """Yield the lines that show ``stats``.

    ``before`` was read ``elapsed_s`` seconds earlier, None at first; ``now`` are unix
    seconds.
    """
    workers: Sequence[Stats] = stats["workers"]
    requests = sum(worker["requests"] for worker in workers)
    rates = _rates(workers, before, elapsed_s)
    yield f"uWSGI {stats['version']} · pid {stats['pid']} · {stats['cwd']}"
    yield (
        f"{requests} requests, {sum(rates.values()):.1f} a second · "
        f"{_total(workers, 'exceptions')} exceptions · "
        f"{_total(workers, 'harakiri_count')} harakiris · "
        f"{stats['listen_queue']} connections wait"
    )
    yield ""
    tells_latencies = any("latency_p99" in worker for worker in workers)
    yield _COLUMNS.format(
        *("WID", "PID", "STATUS", "REQUESTS", "/S", "BUSY", "EXC"),
        *("AVG ms", "RSS", "TX", "SPAWNS"),
    ) + (_LATENCIES.format("P50 ms", "P99 ms") if tells_latencies else "")
    for worker in sorted(workers, key=lambda one: -rates.get(one["id"], 0.0)):
        busy = sum(core["in_request"] for core in worker.get("cores", ()))
        yield _COLUMNS.format(
            worker["id"],
            worker["pid"],
            str(worker["status"])[:8],
            worker["requests"],
            f"{rates.get(worker['id'], 0.0):.1f}",
            busy,
            worker["exceptions"],
            f"{worker['avg_rt'] / 1000:.1f}",
            _size(worker["rss"]),
            _size(worker["tx"]),
            worker["respawn_count"],
        ) + (
            _LATENCIES.format(
                f"{worker.get('latency_p50', 0) / 1000:.1f}",
                f"{worker.get('latency_p99', 0) / 1000:.1f}",
            )
            if tells_latencies
            else ""
        )
    in_flight = sorted(_in_flight(workers))
    if in_flight:
        yield ""
        yield "in flight, the longest first:"
    for started, wid, core, what in in_flight:
        yield f"{wid:>4} core {core:<5} {max(0.0, now - started):6.0f} s  {what}"


def _rates(
    workers: Sequence[Stats], before: Stats | None, elapsed_s: float
) -> dict[int, float]:
    """Requests a second, by worker."""
    if before is None or elapsed_s <= 0:
        return {}
    former = {worker["id"]: worker["requests"] for worker in before["workers"]}
    return {
        worker["id"]: max(0, worker["requests"] - former.get(worker["id"], 0))
        / elapsed_s
        for worker in workers
    }


def _in_flight(workers: Sequence[Stats]) -> Iterator[tuple[int, int, int, str]]:
    for worker in workers:
        for core in worker.get("cores", ()):
            if core["in_request"]:
                pairs = (var.partition("=") for var in core["vars"])
                found = {name: value for name, _, value in pairs}
                what = (
                    f"{found.get('REQUEST_METHOD', '')} "
                    f"{found.get('HTTP_HOST', '')}{found.get('REQUEST_URI', '')}"
                )
                started = core.get("req_info", {}).get("request_start", 0)
                yield started, worker["id"], core["id"], what


def _total(workers: Sequence[Stats], name: str) -> int:
    return sum(worker[name] for worker in workers)


def _size(octets: float) -> str:
    units = ["", "K", "M", "G", "T"]
    while octets >= 1024 and len(units) > 1:
        octets /= 1024
        del units[0]
    return f"{octets:.0f}{units[0]}"


def read_stats(address: str) -> Stats:
    """Read the statistics at an address or a URL. Raises StartupError."""
    try:
        octets = b"".join(_blocks(address))
        _, _, body = octets.partition(b"\r\n\r\n")
        found = json.loads(body if octets.startswith(b"HTTP/") else octets)
    except OSError as exc:
        reason = (exc.strerror or str(exc)).lower()
        raise StartupError(f"top: {address}: {reason}") from exc
    except ValueError as exc:
        raise StartupError(f"top: {address} gives no statistics") from exc
    if not isinstance(found, dict) or "workers" not in found:
        raise StartupError(f"top: {address} gives no statistics of a uWSGI")
    return found


def _blocks(address: str) -> Iterator[bytes]:
    request = b""
    if address.startswith("http://"):
        url = urlsplit(address)
        request = (
            f"GET {url.path or '/'} HTTP/1.0\r\nHost: {url.netloc}\r\n\r\n".encode()
        )
        address = f"{url.hostname}:{url.port or 80}"
    parsed = parse_address(address)
    if isinstance(parsed, TcpAddress):
        where = (parsed.host or "127.0.0.1", parsed.port)
        connected = socket.create_connection(where, _TIMEOUT_S)
    elif isinstance(parsed, UnixAddress | AbstractAddress):
        connected = socket.socket(socket.AF_UNIX)
        connected.settimeout(_TIMEOUT_S)
        connected.connect(
            parsed.path if isinstance(parsed, UnixAddress) else f"\0{parsed.name}"
        )
    else:
        raise StartupError(f"top: {address!r} is no address to connect to")
    with connected:
        connected.sendall(request)
        while block := connected.recv(65536):
            yield block


def top(arguments: Sequence[str]) -> int:
    """The sub-command; q ends it. Raises StartupError."""
    words = list(arguments)
    once = "--once" in words
    every_s = 2.0
    try:
        if "--every" in words:
            at = words.index("--every")
            every_s = max(0.1, float(words.pop(at + 1)))
            del words[at]
        (address,) = [word for word in words if word != "--once"]
    except (ValueError, IndexError):
        raise StartupError(USAGE) from None
    if once or not sys.stdout.isatty():
        for line in draw(read_stats(address), None, 0.0, time.time()):
            print(line)
        return 0
    with _single_keys() as read_key:
        before, looked_at = None, 0.0
        while True:
            stats, now = read_stats(address), time.monotonic()
            lines = draw(stats, before, now - looked_at, time.time())
            before, looked_at = stats, now
            size = shutil.get_terminal_size()
            shown = [line[: size.columns] for line in lines][: size.lines - 1]
            sys.stdout.write(_HOME_AND_CLEAR + "\n".join(shown))
            sys.stdout.flush()
            if read_key(every_s) in ("q", "Q", "\x1b"):
                print()
                return 0


@contextlib.contextmanager
def _single_keys() -> Iterator[Callable[[float], str]]:
    """Have the terminal give keys as they are pressed; yield what waits for one."""
    import termios  # not there on every system, and for people only
    import tty

    fileno = sys.stdin.fileno()
    if not os.isatty(fileno):

        def wait(seconds: float) -> str:
            time.sleep(seconds)
            return ""

        yield wait
        return
    former = termios.tcgetattr(fileno)
    tty.setcbreak(fileno)

    def read_key(seconds: float) -> str:
        if select.select([fileno], [], [], seconds)[0]:
            return os.read(fileno, 1).decode("ascii", "replace")
        return ""

    try:
        yield read_key
    finally:
        termios.tcsetattr(fileno, termios.TCSADRAIN, former)
