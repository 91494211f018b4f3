"""Opening, re-using, handing over and closing real listening sockets."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from geuwsgi.config.resolve import LISTENERS
from geuwsgi.errors import ConfigErrors, StartupError
from geuwsgi.net.binding import set_mode_and_owner
from geuwsgi.net.inherited import InheritedSocket, take_inherited
from geuwsgi.net.listeners import (
    Listener,
    SocketOptions,
    Spec,
    dropped,
    from_wire,
    open_listeners,
    protocol_of,
    to_wire,
)

Open = Callable[..., list[Listener]]


@pytest.fixture
def open_all() -> Iterator[Open]:
    """`open_listeners` for (kind, address) pairs; what it opens is closed later."""
    opened: list[Listener] = []

    def open_all(
        *pairs: tuple[str, str], options: SocketOptions | None = None, **more: Any
    ) -> list[Listener]:
        specs = [
            Spec(kind, address, f"app.ini:{number}")
            for number, (kind, address) in enumerate(pairs, 1)
        ]
        listeners = open_listeners(specs, options, **more)
        opened.extend(listeners)
        return listeners

    yield open_all
    for listener in opened:
        listener.close(vacuum=True)


@pytest.fixture(autouse=True)
def _in_a_directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Unix socket paths are short; the test's own path need not be.
    monkeypatch.chdir(tmp_path)


def connect(listener: Listener) -> socket.socket:
    peer = socket.socket(listener.socket.family)
    peer.connect(listener.socket.getsockname())
    accepted, _ = listener.socket.accept()
    accepted.close()
    return peer


def refusal(*pairs: tuple[str, str]) -> str:
    specs = [Spec(kind, address, "app.ini:1") for kind, address in pairs]
    with pytest.raises(StartupError) as caught:
        open_listeners(specs)
    return str(caught.value)


def test_a_port_of_zero_is_chosen_by_the_system_and_named(open_all: Open) -> None:
    (listener,) = open_all(("http-socket", "127.0.0.1:0"))
    port = listener.socket.getsockname()[1]
    assert (listener.name, listener.server_port) == (f"127.0.0.1:{port}", str(port))
    assert listener.protocol == "http"
    assert listener.describe(0) == (
        f"uwsgi socket 0 bound to TCP address 127.0.0.1:{port} (port auto-assigned)"
        f" fd {listener.fileno()}"
    )
    connect(listener).close()


def test_listeners_come_in_the_order_of_the_lines(open_all: Open) -> None:
    listeners = open_all(
        ("socket", "a.sock"), ("http", "127.0.0.1:0"), ("fastcgi-socket", "@test-order")
    )
    assert [one.kind for one in listeners] == ["socket", "http", "fastcgi-socket"]
    assert [one.protocol for one in listeners] == ["uwsgi", "http", "fastcgi"]


@pytest.mark.parametrize(
    ("protocol", "spoken"),
    [("http", "http"), ("HTTP", "http"), ("fastcgi", "fastcgi"), ("uwsgi", "uwsgi")],
)
def test_the_protocol_option_is_for_plain_sockets(
    open_all: Open, protocol: str, spoken: str
) -> None:
    listeners = open_all(
        ("socket", "a.sock"), ("uwsgi-socket", "b.sock"), protocol=protocol
    )
    assert [one.protocol for one in listeners] == [spoken, "uwsgi"]


def test_accepting_never_blocks(open_all: Open) -> None:
    (listener,) = open_all(("socket", "127.0.0.1:0"))
    with pytest.raises(BlockingIOError):
        listener.socket.accept()


def test_every_interface_of_ipv6_takes_ipv4_as_well(open_all: Open) -> None:
    (listener,) = open_all(("socket", "[::]:0"))
    port = listener.socket.getsockname()[1]
    with socket.create_connection(("127.0.0.1", port)):
        listener.socket.accept()[0].close()
    assert listener.name == f"[::]:{port}"
    assert "TCP6 address" in listener.describe(0)


def test_ipv4_and_ipv6_on_the_same_port_live_side_by_side(open_all: Open) -> None:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    listeners = open_all(("http", f"[::]:{port}"), ("http", f":{port}"))
    assert len(listeners) == 2


def test_an_interface_pattern_listens_there(open_all: Open) -> None:
    (listener,) = open_all(("http-socket", "127.0.*:0"))
    assert listener.name == f"127.0.0.1:{listener.server_port}"


def test_localhost_is_the_ipv4_one_as_in_uwsgi(open_all: Open) -> None:
    (listener,) = open_all(("socket", "localhost:0"))
    assert listener.socket.getsockname()[0] == "127.0.0.1"


def test_a_unix_socket_tells_port_80(open_all: Open) -> None:
    (listener,) = open_all(("http-socket", "a.sock"))
    assert (listener.name, listener.server_port) == ("a.sock", "80")
    assert listener.is_unix
    connect(listener).close()


def test_an_abstract_socket_leaves_no_file(open_all: Open) -> None:
    (listener,) = open_all(("socket", "@geuwsgi-test"))
    assert os.listdir() == []
    connect(listener).close()


def test_the_mode_of_unix_sockets_is_set(open_all: Open) -> None:
    open_all(("socket", "a.sock"), options=SocketOptions(mode=0o664))
    assert stat.S_IMODE(os.stat("a.sock").st_mode) == 0o664


def test_vacuum_removes_the_file(open_all: Open) -> None:
    (listener,) = open_all(("socket", "a.sock"))
    listener.close(vacuum=True)
    assert not os.path.exists("a.sock")
    assert listener.fileno() == -1


def test_vacuum_finds_the_file_after_a_chdir(open_all: Open, tmp_path: Path) -> None:
    (listener,) = open_all(("socket", "a.sock"))
    os.chdir("/")
    listener.close(vacuum=True)
    assert not (tmp_path / "a.sock").exists()


def test_without_vacuum_the_file_stays(open_all: Open) -> None:
    (listener,) = open_all(("socket", "a.sock"))
    listener.close()
    assert os.path.exists("a.sock")


def test_vacuum_leaves_the_file_of_another_server(open_all: Open) -> None:
    (listener,) = open_all(("socket", "a.sock"))
    os.rename("a.sock", "b.sock")
    with socket.socket(socket.AF_UNIX) as other:
        other.bind("a.sock")
        listener.close(vacuum=True)
    assert sorted(os.listdir()) == ["a.sock", "b.sock"]


def test_a_stale_socket_file_is_replaced(open_all: Open) -> None:
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind("a.sock")
        gone.listen()
    (listener,) = open_all(("socket", "a.sock"))
    connect(listener).close()


def test_a_socket_somebody_listens_on_is_not_replaced(open_all: Open) -> None:
    open_all(("socket", "a.sock"))
    assert refusal(("socket", "a.sock")) == (
        "app.ini:1: socket: cannot listen on a.sock: address already in use: another"
        " process listens there"
    )


def test_a_socket_with_a_full_queue_is_not_replaced() -> None:
    with socket.socket(socket.AF_UNIX) as busy, contextlib.ExitStack() as peers:
        busy.bind("a.sock")
        busy.listen(0)
        with contextlib.suppress(BlockingIOError):
            while True:
                peer = peers.enter_context(socket.socket(socket.AF_UNIX))
                peer.setblocking(False)
                peer.connect("a.sock")
        assert "another process listens there" in refusal(("socket", "a.sock"))


def test_a_file_that_is_no_socket_is_not_removed() -> None:
    Path("a.sock").write_text("precious")
    assert refusal(("socket", "a.sock")) == (
        "app.ini:1: socket: cannot listen on a.sock: a file that is not a socket is"
        " there"
    )
    assert Path("a.sock").read_text() == "precious"


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    assert refusal(("socket", "run/a.sock")) == (
        "app.ini:1: socket: cannot listen on run/a.sock: the directory"
        f" {tmp_path}/run does not exist"
    )


def test_a_file_in_place_of_a_directory_is_named(tmp_path: Path) -> None:
    Path("run").touch()
    assert refusal(("socket", "run/a.sock")) == (
        f"app.ini:1: socket: cannot listen on run/a.sock: {tmp_path}/run is not a"
        " directory"
    )


def test_a_port_in_use_is_named(open_all: Open) -> None:
    (first,) = open_all(("http-socket", "127.0.0.1:0"))
    assert refusal(("http", first.name)) == (
        f"app.ini:1: http: cannot listen on {first.name}: address already in use"
    )


def test_an_unknown_host_is_named() -> None:
    assert refusal(("http", "no.such.host.invalid:80")).startswith(
        "app.ini:1: http: cannot listen on no.such.host.invalid:80: unknown host"
        " 'no.such.host.invalid' ("
    )


def test_an_address_of_another_machine_is_refused_without_freebind(
    open_all: Open,
) -> None:
    assert refusal(("http", "198.51.100.7:0")) == (
        "app.ini:1: http: cannot listen on 198.51.100.7:0: this machine has no such"
        " address (freebind would allow it)"
    )
    open_all(("http", "198.51.100.7:0"), options=SocketOptions(freebind=True))


def test_a_failure_closes_what_was_opened_before() -> None:
    refusal(("socket", "a.sock"), ("socket", "missing/b.sock"))
    assert os.listdir() == []


def test_all_malformed_addresses_are_reported_together() -> None:
    specs = [
        Spec("http", ":http", "app.ini:1"),
        Spec("socket", "a.sock", "app.ini:2"),
        Spec("socket", "a.sock", "app.ini:3"),
        Spec("https", ":8443", "app.ini:4"),
        Spec("gopher-socket", ":70", "app.ini:5"),
    ]
    with pytest.raises(ConfigErrors) as caught:
        open_listeners(specs)
    assert str(caught.value).splitlines() == [
        "app.ini:1: http: malformed port 'http' in the address ':http'",
        "app.ini:3: socket: 'a.sock' is used already (app.ini:2)",
        "app.ini:4: https: ':8443' names no certificate (address,certificate,key)",
        "app.ini:5: gopher-socket: unknown kind of socket 'gopher-socket'",
    ]
    assert os.listdir() == []


def test_an_unknown_protocol_is_refused() -> None:
    with pytest.raises(ConfigErrors, match="unknown protocol 'gopher'"):
        open_listeners([Spec("socket", ":0")], protocol="gopher")


def test_the_certificate_is_kept_for_tls(open_all: Open) -> None:
    (listener,) = open_all(("https", "127.0.0.1:0,a.crt,a.key,HIGH"))
    assert (listener.protocol, listener.tls) == ("http", "a.crt,a.key,HIGH")


def test_reuse_port_lets_two_servers_share_a_port(open_all: Open) -> None:
    options = SocketOptions(reuse_port=True)
    (first,) = open_all(("http", "127.0.0.1:0"), options=options)
    (second,) = open_all(("http", first.name), options=options)
    assert first.server_port == second.server_port


def test_shared_sockets_are_found_by_number(open_all: Open) -> None:
    listeners = open_all(
        ("shared-socket", "127.0.0.1:0"), ("http", "=0"), ("https", "=0,a.crt,a.key")
    )
    assert [one.kind for one in listeners] == ["http", "https"]
    assert listeners[0].socket is listeners[1].socket
    assert listeners[0].describe(0) == (
        f"uwsgi socket 0 mapped to shared socket 0 ({listeners[0].name})"
        f" fd {listeners[0].fileno()}"
    )


def test_every_kind_of_listener_of_the_options_is_known() -> None:
    for kind in LISTENERS - {"shared-socket", "undeferred-shared-socket"}:
        assert protocol_of(kind, "uwsgi")


def test_an_undeferred_shared_socket_is_a_shared_socket(open_all: Open) -> None:
    (listener,) = open_all(
        ("undeferred-shared-socket", "127.0.0.1:0"), ("https2", "addr==0,cert=a.pem")
    )
    assert (listener.shared, listener.tls) == (0, "a.pem")


def test_a_shared_socket_that_is_not_there_is_named() -> None:
    assert refusal(("shared-socket", "127.0.0.1:0"), ("http", "=1")) == (
        "app.ini:1: http: there is no shared socket 1 (1 shared-socket given)"
    )


def test_a_descriptor_is_listened_on(open_all: Open) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (listener,) = open_all(("http-socket", f"fd://{os.dup(server.fileno())}"))
    assert (listener.name, listener.server_port) == (f"127.0.0.1:{port}", str(port))
    assert "inherited INET address" in listener.describe(0)


def test_a_descriptor_that_does_not_listen_is_refused() -> None:
    with socket.socket() as client, open(os.devnull) as file:
        fd = client.fileno()
        assert refusal(("socket", f"fd://{fd}")).endswith(
            f": descriptor {fd} does not listen"
        )
        client.fileno()  # is still open
        assert refusal(("socket", f"fd://{file.fileno()}")).endswith(" is not a socket")
    assert refusal(("socket", "fd://999")).endswith(
        ": cannot use descriptor 999: bad file descriptor"
    )


def passed_sockets(*addresses: str | tuple[str, int]) -> Sequence[int]:
    fds = []
    for address in addresses:
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        with socket.socket(family) as server:
            server.bind(address)
            server.listen()
            fds.append(os.dup(server.fileno()))
    return fds


def test_a_passed_socket_is_used_for_its_address(
    open_all: Open, tmp_path: Path
) -> None:
    tcp, unix = passed_sockets(("127.0.0.1", 0), "a.sock")
    port = socket.socket(fileno=os.dup(tcp)).getsockname()[1]
    listeners = open_all(
        ("socket", f"{tmp_path}/a.sock"),
        ("http-socket", f"localhost:{port}"),
        inherited=[InheritedSocket(tcp), InheritedSocket(unix)],
    )
    assert [one.fileno() for one in listeners] == [unix, tcp]
    listeners[0].close(vacuum=True)
    assert os.path.exists("a.sock")  # its file is not ours to remove


def test_a_passed_socket_is_used_for_its_name(open_all: Open) -> None:
    first, second = passed_sockets(("127.0.0.1", 0), ("127.0.0.1", 0))
    listeners = open_all(
        ("http", ":80"),
        ("socket", ":3031"),
        inherited=[
            InheritedSocket(first, "socket"),
            InheritedSocket(second, "http"),
        ],
    )
    assert [one.fileno() for one in listeners] == [second, first]


def test_a_passed_socket_nobody_asked_for_is_added(open_all: Open) -> None:
    first, second = passed_sockets(("127.0.0.1", 0), ("127.0.0.1", 0))
    listeners = open_all(
        ("socket", "a.sock"),
        protocol="uwsgi",
        inherited=[
            InheritedSocket(first, "app.socket"),
            InheritedSocket(second, "http-socket"),
        ],
    )
    assert [(one.kind, one.protocol) for one in listeners] == [
        ("socket", "uwsgi"),
        ("socket", "uwsgi"),
        ("http-socket", "http"),
    ]


def test_systemd_variables_are_taken_once() -> None:
    environ = {
        "LISTEN_FDS": "2",
        "LISTEN_PID": "41",
        "LISTEN_FDNAMES": "http",
        "HOME": "/",
    }
    assert take_inherited(environ, 41) == [
        InheritedSocket(3, "http"),
        InheritedSocket(4, ""),
    ]
    assert environ == {"HOME": "/"}


@pytest.mark.parametrize(
    ("count", "pid"), [("1", "40"), ("x", "41"), ("", "41"), ("-1", "41"), ("²", "41")]
)
def test_systemd_variables_that_are_not_for_us_are_nothing(
    count: str, pid: str
) -> None:
    assert take_inherited({"LISTEN_FDS": count, "LISTEN_PID": pid}, 41) == []


def test_a_reload_keeps_what_is_open_and_opens_the_rest(open_all: Open) -> None:
    old = open_all(
        ("http-socket", "127.0.0.1:0"), ("socket", "a.sock"), ("socket", "b.sock")
    )
    new = open_all(
        ("socket", "c.sock"),
        ("uwsgi-socket", "a.sock"),
        ("http-socket", "127.0.0.1:0"),
        existing=old,
        options=SocketOptions(mode=0o600),
    )
    assert new[1].socket is old[1].socket
    assert new[2].socket is old[0].socket
    assert new[1].kind == "uwsgi-socket"
    assert stat.S_IMODE(os.stat("a.sock").st_mode) == 0o600
    assert dropped(old, new) == [old[2]]


def test_a_reload_that_fails_leaves_the_open_listeners(open_all: Open) -> None:
    old = open_all(("socket", "a.sock"))
    with pytest.raises(StartupError):
        open_all(("socket", "a.sock"), ("socket", "missing/b.sock"), existing=old)
    connect(old[0]).close()


def test_a_reload_puts_a_removed_socket_file_back(open_all: Open) -> None:
    old = open_all(("socket", "a.sock"))
    os.unlink("a.sock")
    (new,) = open_all(("socket", "a.sock"), existing=old)
    assert new.socket is not old[0].socket
    connect(new).close()


def test_listeners_travel_to_another_program(open_all: Open) -> None:
    listeners = open_all(
        ("shared-socket", "127.0.0.1:0"),
        ("http", "=0"),
        ("https", "=0,a.crt,a.key"),
        ("socket", "a.sock"),
    )
    program = (
        "import os, sys\n"
        "from geuwsgi.net.listeners import from_wire, to_wire\n"
        "listeners = from_wire(sys.argv[1], inheritable=True)\n"
        "assert 'gevent' not in sys.modules\n"
        "assert listeners[0].socket is listeners[1].socket\n"
        "print(to_wire(listeners))\n"
    )
    wire = to_wire(listeners)
    answer = subprocess.run(
        [sys.executable, "-c", program, wire],
        pass_fds={one.fileno() for one in listeners},
        check=True,
        capture_output=True,
        text=True,
    )
    assert answer.stdout.strip() == wire


def test_a_listener_that_did_not_travel_is_an_error() -> None:
    wire = '[{"fd": 999, "kind": "http"}]'
    with pytest.raises(StartupError, match="cannot use descriptor 999"):
        from_wire(wire)


def test_new_listeners_survive_an_exec(open_all: Open) -> None:
    (listener,) = open_all(("socket", "a.sock"))
    assert os.get_inheritable(listener.fileno())


@pytest.fixture
def public_directory() -> Iterator[Path]:
    """A directory that every user may enter, unlike tmp_path."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_what_is_so_already_needs_no_rights(public_directory: Path) -> None:
    """A reload after uid was given up: the file is root's and stays as it is."""
    path = public_directory / "site.sock"
    path.touch()
    path.chmod(0o660)
    options = SocketOptions(mode=0o660, owner=(0, -1))
    child = os.fork()
    if not child:
        status = 1
        try:
            os.setuid(65534)
            set_mode_and_owner(str(path), options)
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    set_mode_and_owner(str(path), SocketOptions(mode=0o600))
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_listening_standard_input_is_taken() -> None:
    code = (
        "import os, stat; from geuwsgi.net.inherited import take_standard_input as t;"
        "(taken,) = t(); assert stat.S_ISSOCK(os.fstat(taken.fd).st_mode);"
        "assert stat.S_ISCHR(os.fstat(0).st_mode); assert t() == []"
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:
        subprocess.run(
            [sys.executable, "-c", code], stdin=listening.fileno(), check=True
        )
