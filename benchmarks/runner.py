"""Runs kinds on servers in interleaved rounds and keeps every sample."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

from .environment import APPLICATIONS, Environment
from .kinds import (
    GIGABYTE,
    HeldSockets,
    Kind,
    LongPolls,
    Messages,
    Requests,
    SharedCores,
    Start,
    Transfers,
)
from .processes import Running
from .requests import http_request, uwsgi_packet
from .servers import Place, Server, Wire, front

Sample = dict[str, float]
"""Figures of one server in one round: `rate`, `cpu_us`, `p50_us`, `errors`, …"""


@dataclass
class Result:
    """All samples of one kind, by server; a server that failed has its reason."""

    kind: Kind
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def figure(self, server: str, name: str) -> float | None:
        """The median over the rounds; None where it was not measured."""
        values = [
            sample[name] for sample in self.samples.get(server, ()) if name in sample
        ]
        return median(values) if values else None

    def ratio(self, server: str, peer: str, name: str = "rate") -> float | None:
        """The median of the rounds' ratios: what slows a round slows both."""
        pairs = [
            (ours[name], theirs[name])
            for ours, theirs in zip(
                self.samples.get(server, ()), self.samples.get(peer, ()), strict=False
            )
            if name in ours and theirs.get(name)
        ]
        return median(ours / theirs for ours, theirs in pairs) if pairs else None


@dataclass(frozen=True)
class Plan:
    """How long and where: `seconds` of load, `rounds` turns, the two cores.

    Cores are as taskset takes them.
    """

    environment: Environment
    rounds: int
    seconds: float
    server_core: str
    load_core: str

    def on_all_cores(self) -> Plan:
        """The same with server and load on both."""
        cores = f"{self.server_core},{self.load_core}"
        return replace(self, server_core=cores, load_core=cores)


def run_kind(
    plan: Plan,
    kind: Kind,
    servers: Iterable[Server],
    progress: Callable[[str], None],
) -> Result:
    """Measures `kind` round by round; `progress` is told of each round's end."""
    result = Result(kind)
    able = [
        server
        for server in servers
        if kind.wire in server.wires and kind.measures(server.name)
    ]
    for number in range(1, plan.rounds + 1):
        for server in able:
            if server.name in result.failures:
                continue
            try:
                sample = _turn(plan, kind, server)
            except (RuntimeError, subprocess.SubprocessError) as exc:
                result.failures[server.name] = str(exc)
                continue
            result.samples.setdefault(server.name, []).append(sample)
        progress(f"{kind.name}: round {number} of {plan.rounds}")
    return result


def _turn(plan: Plan, kind: Kind, server: Server) -> Sample:
    if not isinstance(kind.load, SharedCores):
        return _measure(plan, kind, server)
    sample = _measure(plan.on_all_cores(), kind, server)
    alone = _measure(plan, replace(kind, workers=1), server)
    sample["cpu_us_alone"] = alone["cpu_us"]
    sample["of_one"] = sample["cpu_us"] / alone["cpu_us"]
    return sample


def raise_descriptor_limit(wanted: int) -> int:
    """Allows this process and its children `wanted` open files, or as many as it may."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(wanted, hard),) * 2)
    except (ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _measure(plan: Plan, kind: Kind, server: Server) -> Sample:
    connections = kind.load.connections
    with tempfile.TemporaryDirectory(prefix="geuwsgi-bench-") as name:
        place = Place(
            plan.environment,
            Path(name),
            _free_port(),
            kind.module,
            connections,
            kind.workers,
            kind.options,
        )
        _write_files(place.directory / "static")
        if isinstance(kind.load, Transfers) and not kind.load.upload:
            _write_large(place.directory / "static" / "1g.bin")
        if kind.wire is Wire.HTTPS:
            _write_certificate(place)
        with contextlib.ExitStack() as ending:
            running = _start(plan, server.wires[kind.wire](place), ending)
            if kind.wire is Wire.NGINX:
                running.beside = _start(plan, front(place), ending)
            family, address, request = _probe(kind, place)
            started = running.wait_until_answering(
                family, address, request, tls=kind.wire is Wire.HTTPS
            )
            sample = {"start_s": started, "rate": 1 / started}
            sample |= _LOADS[type(kind.load)](plan, kind, place, running)
    return sample


def _write_files(directory: Path) -> None:
    directory.mkdir()
    for name, size in (("page", 10_240), ("1k", 1_000), ("100k", 100_000)):
        file = directory / f"{name}.css"
        file.write_bytes((b"p { margin: 0 }\n" * (size // 16 + 1))[:size])
        # At rest: servers may wait before they remember what has just changed.
        os.utime(file, (0, 0))


def _write_large(path: Path) -> None:
    """A file of a gigabyte that takes no room on the disk, read into memory."""
    with path.open("wb") as file:
        file.truncate(GIGABYTE)
    with path.open("rb") as file:
        while file.read(1 << 20):
            pass


def _write_certificate(place: Place) -> None:
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes"),
            *("-subj", "/CN=127.0.0.1", "-days", "2"),
            *("-keyout", str(place.key), "-out", str(place.certificate)),
        ],
        check=True,
        capture_output=True,
    )


def _start(plan: Plan, command: list[str], ending: contextlib.ExitStack) -> Running:
    running = Running(
        command,
        core=plan.server_core,
        directory=APPLICATIONS,
        env={**os.environ, "PYTHONPATH": "."},
    )
    ending.callback(running.stop)
    return running


def _probe(kind: Kind, place: Place) -> tuple[int, str | tuple[str, int], bytes]:
    tcp = ("127.0.0.1", place.port)
    request = b""
    if isinstance(kind.load, Requests):
        request = kind.load.requests[0]
    elif isinstance(kind.load, Transfers):
        request = http_request(close=True)
    if kind.wire is Wire.UWSGI_UNIX:
        return socket.AF_UNIX, str(place.socket), request or uwsgi_packet()
    if kind.wire is Wire.WEBSOCKET:
        return socket.AF_INET, tcp, _UPGRADE
    return socket.AF_INET, tcp, request or http_request("/held")


_UPGRADE = http_request(
    "/echo",
    fields=(
        ("Host", "127.0.0.1"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Version", "13"),
        ("Origin", "http://127.0.0.1"),
    ),
)


def _requests(plan: Plan, kind: Kind, place: Place, running: Running) -> Sample:
    load = kind.load
    assert isinstance(load, Requests)
    target = (
        f"unix:{place.socket}"
        if kind.wire is Wire.UWSGI_UNIX
        else f"tcp:{place.address}"
    )
    client = "tls" if kind.wire is Wire.HTTPS else "load"
    command = [plan.environment.client(client), "--target", target]
    for number, request in enumerate(load.requests):
        file = place.directory / f"request-{number}"
        file.write_bytes(request)
        command += ["--request", str(file)]
    command += [
        *("--connections", str(load.connections)),
        *(("--close",) if load.close else ()),
    ]
    if not load.half_load:
        sample = _loaded(plan, [*command, "--seconds", str(plan.seconds)], running)
        sample["rate"] *= load.operations
        sample["cpu_us"] /= load.operations
        return sample
    most = _loaded(plan, [*command, "--seconds", "1"], running)["rate"]
    paced = [*command, "--rate", str(most / 2), "--seconds", str(plan.seconds)]
    return {**_loaded(plan, paced, running), "most": most}


def _transfers(plan: Plan, kind: Kind, place: Place, running: Running) -> Sample:
    load = kind.load
    assert isinstance(load, Transfers)
    request = place.directory / "request"
    request.write_bytes(load.request)
    client = "tls" if kind.wire is Wire.HTTPS else "load"
    command = [
        *(plan.environment.client(client), "--target", f"tcp:{place.address}"),
        *("--request", str(request), "--connections", str(load.connections)),
        *("--seconds", str(plan.seconds)),
        *(("--body", str(load.upload)) if load.upload else ()),
    ]
    sample = _loaded(plan, command, running)
    if sample["moved"] == 0:
        raise RuntimeError(f"nothing was transferred: {running.output()[-500:]}")
    megabytes = sample["moved"] / 1e6
    # Processor time was taken in the warm-up, too.
    share = sample["seconds"] / (sample["seconds"] + 0.5)
    sample["cpu_us"] = sample["cpu_seconds"] * 1e6 * share / megabytes
    sample["rate"] = megabytes / sample["seconds"]
    return sample


def _starting(plan: Plan, kind: Kind, place: Place, running: Running) -> Sample:
    # Some workers may still be on their way when the first one answers.
    time.sleep(0.5)
    usage = running.usage(memory=True)
    return {
        "pss_kib": usage.pss_kib,
        "kib_a_worker": usage.pss_kib / kind.workers,
        "errors": 0,
    }


def _messages(plan: Plan, kind: Kind, place: Place, running: Running) -> Sample:
    load = kind.load
    assert isinstance(load, Messages)
    command = [
        plan.environment.client("websocket"),
        *("--target", f"tcp:{place.address}"),
        *("--path", "/broadcast" if load.broadcast else "/echo"),
        *("--connections", str(load.connections), "--size", str(load.size)),
        *("--inflight", str(load.in_flight), "--seconds", str(plan.seconds)),
        *(("--broadcast",) if load.broadcast else ()),
    ]
    return _loaded(plan, command, running)


def _loaded(plan: Plan, command: list[str], running: Running) -> Sample:
    before = running.usage()
    output = _client(plan, command)
    after = running.usage(memory=True)
    sample: Sample = json.loads(output)
    if not sample["total"] and not sample.get("moved"):
        raise RuntimeError(f"no request was answered: {running.output()[-500:]}")
    used = after.cpu_seconds - before.cpu_seconds
    sample["cpu_seconds"] = used
    sample["cpu_us"] = used * 1e6 / max(sample["total"], 1)
    sample["pss_kib"] = after.pss_kib
    sample["peak_kib"] = after.peak_kib
    return sample


def _client(plan: Plan, command: list[str]) -> str:
    try:
        finished = subprocess.run(
            ["taskset", "-c", plan.load_core, *command],
            capture_output=True,
            text=True,
            timeout=plan.seconds + 30,
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError("the load client waited in vain") from None
    if finished.returncode:
        raise RuntimeError(f"the load client failed: {finished.stderr.strip()}")
    return finished.stdout


@contextlib.contextmanager
def _holding(
    plan: Plan, client: str, kind: Kind, place: Place, running: Running, *more: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A client that holds connections, and the line it says when it has all."""
    holder = subprocess.Popen(
        [
            *("taskset", "-c", plan.load_core),
            plan.environment.client(client),
            *("--target", f"tcp:{place.address}"),
            *("--connections", str(kind.load.connections)),
            *more,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout and holder.stderr
        first = holder.stdout.readline()
        if not first:
            said = holder.stderr.read().strip()
            raise RuntimeError(f"{said}; {running.output()[-500:]}")
        yield holder, first
    finally:
        holder.kill()
        holder.wait()


def _long_polls(plan: Plan, kind: Kind, place: Place, running: Running) -> Sample:
    connections = kind.load.connections
    files: list[str] = []
    for option, path in (("hold", "/poll"), ("count", "/held"), ("wake", "/wake")):
        request = place.directory / option
        request.write_bytes(http_request(path, close=option != "hold"))
        files += [f"--{option}", str(request)]
    idle = running.usage(memory=True)
    with _holding(plan, "longpoll", kind, place, running, *files) as (holder, first):
        held = running.usage(memory=True)
        rest, said = holder.communicate("\n", timeout=120)
        if holder.returncode:
            raise RuntimeError(f"the wake-up failed: {said.strip()}")
        woken = running.usage()
    sample: Sample = {**json.loads(first), **json.loads(rest)}
    used = woken.cpu_seconds - held.cpu_seconds
    sample["cpu_us"] = used * 1e6 / max(1, sample["answered"])
    sample["idle_kib"] = idle.pss_kib
    sample["held_kib"] = held.pss_kib
    sample["kib_each"] = held.pss_kib / connections
    sample["kib_more_each"] = (held.pss_kib - idle.pss_kib) / connections
    sample["rate"] = sample["answered"] / sample["wake_seconds"]
    sample["errors"] = sample["failed"] + connections - sample["answered"]
    return sample


#: Long enough for each held websocket to be pinged twice.
_HOLDING_S = 20.0


def _held_sockets(plan: Plan, kind: Kind, place: Place, running: Running) -> Sample:
    connections = kind.load.connections
    idle = running.usage(memory=True)
    with _holding(plan, "sockets", kind, place, running) as (holder, first):
        before = running.usage()
        time.sleep(_HOLDING_S)
        held = running.usage(memory=True)
        rest, said = holder.communicate("\n", timeout=60)
        if holder.returncode:
            raise RuntimeError(f"holding failed: {said.strip()}")
    sample: Sample = {**json.loads(first), **json.loads(rest)}
    sample["kib_each"] = held.pss_kib / connections
    sample["kib_more_each"] = (held.pss_kib - idle.pss_kib) / connections
    sample["core_percent"] = (
        100 * (held.cpu_seconds - before.cpu_seconds) / sample["seconds"]
    )
    sample["rate"] = connections / sample["hold_seconds"]
    sample["errors"] = sample["cut"] + sample["closed_otherwise"]
    return sample


_LOADS = {
    HeldSockets: _held_sockets,
    Requests: _requests,
    SharedCores: _requests,
    Transfers: _transfers,
    Messages: _messages,
    LongPolls: _long_polls,
    Start: _starting,
}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
