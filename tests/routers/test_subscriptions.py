"""What a router makes of the announcements it hears."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path

import pytest
from gevent import get_hub, sleep

from geuwsgi.errors import ConfigError
from geuwsgi.protocol.subscription import (
    Announcement,
    encode_announcement,
    encode_block,
)
from geuwsgi.protocol.uwsgi import encode_packet
from geuwsgi.routers.nodes import Table
from geuwsgi.routers.signatures import SignatureCheck, make_signer
from geuwsgi.routers.subscriptions import (
    Credentials,
    Ears,
    Forwarder,
    Rules,
    Subscriptions,
    datagram_target,
)


class Page:
    def __init__(self) -> None:
        self.text = b""

    def write(self, text: bytes) -> bool:
        self.text = text
        return True

    def read(self) -> bytes:
        return self.text


class Heard:
    """A table, its announcements and the log."""

    def __init__(self, rules: Rules | None = None, **more: object) -> None:
        self.now = 100.0
        self.log: list[str] = []
        self.table = Table(tolerance_s=17.0)
        self.subscriptions = Subscriptions(
            self.table,
            rules or Rules(),
            clock=lambda: self.now,
            report=self.log.append,
            name="http",
            **more,  # type: ignore[arg-type]
        )
        self.table.on_change = self.subscriptions.changed

    def hear(
        self,
        key: str = "a.test",
        address: str = "127.0.0.1:1",
        *,
        source: str = "10.0.0.9",
        credentials: Credentials | None = None,
        **fields: object,
    ) -> None:
        told = Announcement(key, address, **fields)  # type: ignore[arg-type]
        self.subscriptions.take(
            encode_announcement(told), source=source, credentials=credentials
        )

    @property
    def nodes(self) -> list[tuple[str, str]]:
        return [
            (pool.key, node.name)
            for pool in self.table.pools.values()
            for node in pool.nodes
        ]


def test_nodes_come_and_go() -> None:
    heard = Heard()
    heard.hear(weight=3, modifier1=5, protocol="http", algorithm="lrc")
    heard.hear(address="/run/b.sock")
    assert heard.nodes == [("a.test", "127.0.0.1:1"), ("a.test", "/run/b.sock")]
    node = heard.table.pools["a.test"].nodes[0]
    assert (node.weight, node.modifier1, node.speaks_http) == (3, 5, True)
    assert heard.table.pools["a.test"].algorithm == "lrc"
    heard.hear(leaves=True)
    heard.hear("unknown", leaves=True)
    assert heard.nodes == [("a.test", "/run/b.sock")]
    assert any("=> new node: /run/b.sock" in line for line in heard.log)


def test_who_listens_everywhere_is_reached_where_the_datagram_came_from() -> None:
    heard = Heard()
    heard.hear(address="0.0.0.0:3031")
    heard.hear("b", ":3032", source="")
    assert heard.nodes == [("a.test", "10.0.0.9:3031"), ("b", "127.0.0.1:3032")]


def test_an_announcement_brings_a_dead_node_back() -> None:
    heard = Heard()
    heard.hear()
    heard.table.pools["a.test"].nodes[0].dead_until = 999.0
    heard.hear()
    assert heard.table.pools["a.test"].nodes[0].dead_until == 0.0


def test_a_node_that_is_silent_is_forgotten() -> None:
    heard = Heard()
    heard.hear()
    heard.now += 16
    heard.subscriptions.tick()
    assert heard.nodes
    heard.now += 2
    heard.subscriptions.tick()
    assert not heard.nodes


@pytest.mark.parametrize(
    "address", ["h:0", "fd://3", "=1", "127.*:80", "h:99999", "h:"]
)
def test_an_address_where_nobody_can_be_is_refused(address: str) -> None:
    heard = Heard()
    heard.hear(address=address)
    assert not heard.nodes
    assert len(heard.log) == 1


def test_garbage_adds_nothing_and_floods_no_log() -> None:
    heard = Heard()
    for number in range(500):
        heard.subscriptions.take(encode_packet(224, bytes([number % 256]) * number))
        heard.subscriptions.take(b"GET / HTTP/1.0\r\n\r\n" * number)
    assert not heard.nodes
    assert len(heard.log) == 1
    heard.now += 2
    heard.subscriptions.take(b"")
    assert "and 999 like it" in heard.log[1]


def test_there_is_room_for_so_many_nodes_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geuwsgi.routers.subscriptions.MOST_NODES", 2)
    heard = Heard()
    for number in range(1, 5):
        heard.hear(address=f"127.0.0.1:{number}")
    assert len(heard.nodes) == 2
    heard.hear(address="127.0.0.1:1", leaves=True)
    heard.hear(address="127.0.0.1:9")
    assert ("a.test", "127.0.0.1:9") in heard.nodes


def test_one_key_does_not_take_all_the_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geuwsgi.routers.subscriptions.MOST_NODES_OF_A_KEY", 2)
    heard = Heard()
    for number in range(1, 5):
        heard.hear(address=f"127.0.0.1:{number}")
    assert len(heard.nodes) == 2
    assert any("no room for 127.0.0.1:3" in line for line in heard.log)
    heard.hear("b.test")
    assert ("b.test", "127.0.0.1:1") in heard.nodes


def test_thousands_of_nodes_come_and_go_in_no_time() -> None:
    heard = Heard()
    began = time.process_time()
    for _ in range(2):
        for number in range(4000):
            heard.hear(f"{number & 7}.test", f"127.0.0.1:{1000 + number}")
    heard.now += 18
    heard.subscriptions.tick()
    assert not heard.nodes
    assert time.process_time() - began < 5


# -- over a reload ---------------------------------------------------------------------


def test_a_successor_knows_what_its_forerunner_knew() -> None:
    page = Page()
    old, new = Heard(), Heard()
    old.subscriptions.keep_in(page)
    old.hear(weight=7, protocol="http")
    old.hear("b", "@sock", algorithm="iphash", sni_certificate="/c", sni_key="/k")
    old.subscriptions.save_changes()
    new.subscriptions.keep_in(page)
    assert new.nodes == old.nodes
    assert new.table.pools["a.test"].nodes[0].weight == 7
    assert new.table.pools["a.test"].nodes[0].speaks_http is True
    assert new.table.pools["b"].algorithm == "iphash"
    assert new.table.certificates() == {"b": ("/c", "/k", "")}
    new.now += 18
    new.subscriptions.tick()
    assert not new.nodes


def test_a_sibling_follows_and_keeps_what_it_counted() -> None:
    page = Page()
    one, two = Heard(), Heard()
    one.subscriptions.keep_in(page)
    one.hear()
    one.hear("b")
    one.subscriptions.save_changes()
    two.subscriptions.load(page.read())
    two.table.pools["a.test"].nodes[0].begin()
    one.hear("b", leaves=True)
    one.subscriptions.save_changes()
    two.subscriptions.load(page.read())
    assert two.nodes == [("a.test", "127.0.0.1:1")]
    assert two.table.pools["a.test"].nodes[0].references == 1


def test_a_broken_note_is_no_note() -> None:
    heard = Heard()
    heard.subscriptions.load(b"not json")
    assert not heard.nodes


# -- who may ---------------------------------------------------------------------------


def test_a_vassal_may_be_required() -> None:
    heard = Heard(Rules(vassal_required=True))
    heard.hear()
    heard.hear("b", vassal="b.ini")
    assert heard.nodes == [("b", "127.0.0.1:1")]


def test_the_owner_of_a_file_may_announce_its_key(tmp_path: Path) -> None:
    (tmp_path / "a.test").touch()
    me = Credentials(1, os.getuid(), os.getgid())
    other = Credentials(1, os.getuid() + 1, os.getgid())
    heard = Heard(Rules(credential_directories=(str(tmp_path),)))
    heard.hear(credentials=None)
    heard.hear(credentials=other)
    heard.hear("unknown", credentials=me)
    heard.hear("../x", credentials=me)
    heard.hear("..", credentials=me)
    assert not heard.nodes
    heard.hear(credentials=me)
    assert heard.nodes
    heard.hear(credentials=other, leaves=True)
    assert heard.nodes


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("cryptography")
    directory = tmp_path_factory.mktemp("keys")
    for name in ("a.test", "b.test"):
        private = str(directory / f"{name}.key")
        for command in (
            ["genrsa", "-out", private, "2048"],
            ["rsa", "-in", private, "-pubout", "-out", f"{directory}/{name}.pem"],
        ):
            subprocess.run(["openssl", *command], check=True, capture_output=True)
    return directory


class Signed(Heard):
    def __init__(self, keys: Path, **more: object) -> None:
        check = SignatureCheck(f"SHA256:{keys}", tolerance_s=60)
        super().__init__(Rules(check, **more))  # type: ignore[arg-type]
        self.keys = keys

    def say(
        self,
        key: str,
        *,
        by: str = "",
        unix: int,
        leaves: bool = False,
        address: str = "127.0.0.1:1",
    ) -> bytes:
        sign = make_signer(f"SHA256:{self.keys / (by or key)}.key")
        told = Announcement(key, address, leaves, unix=unix)
        told.signature = sign(encode_block(told))
        packet = encode_announcement(told)
        self.subscriptions.take(packet)
        return packet


def test_only_who_has_the_key_may_announce(keys: Path) -> None:
    now = int(time.time())
    heard = Signed(keys)
    heard.hear()
    heard.hear(unix=now, signature=b"")
    heard.hear(unix=now, signature=b"x" * 256)
    heard.say("a.test", by="b.test", unix=now)
    heard.say("a.test", unix=now - 100)
    heard.say("a.test", unix=now + 100)
    heard.say("a.test", unix=0)
    heard.hear("../keys/a.test", unix=now, signature=b"x")
    heard.hear("nobody", unix=now, signature=b"x")
    assert not heard.nodes
    heard.say("a.test", unix=now)
    assert heard.nodes == [("a.test", "127.0.0.1:1")]
    heard.hear(leaves=True)
    assert heard.nodes


def test_what_was_heard_once_is_not_heard_again(keys: Path) -> None:
    now = int(time.time())
    heard = Signed(keys)
    come = heard.say("a.test", unix=now)
    go = heard.say("a.test", unix=now + 1, leaves=True)
    assert not heard.nodes
    heard.subscriptions.take(come)
    assert not heard.nodes
    as_goodbye = bytearray(heard.say("a.test", unix=now + 2))
    as_goodbye[3] = 1
    heard.subscriptions.take(bytes(as_goodbye))
    assert heard.nodes
    heard.subscriptions.take(go)
    assert heard.nodes


def test_what_a_forerunner_heard_is_not_heard_again(keys: Path) -> None:
    now = int(time.time())
    page = Page()
    old, new = Signed(keys), Signed(keys)
    old.subscriptions.keep_in(page)
    packet = bytearray(old.say("a.test", unix=now))
    old.subscriptions.save_changes()
    new.subscriptions.keep_in(page)
    packet[3] = 1  # the same as a goodbye
    new.subscriptions.take(bytes(packet))
    assert new.nodes == [("a.test", "127.0.0.1:1")]
    new.say("a.test", unix=now + 1, leaves=True)
    assert not new.nodes


def test_who_has_a_key_cannot_have_others_heard_again(
    keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("geuwsgi.routers.subscriptions.MOST_TIMES_OF_A_KEY", 3)
    now = int(time.time())
    heard = Signed(keys)
    packet = bytearray(heard.say("a.test", unix=now))
    for number in range(1, 6):
        for leaves in (False, True):
            heard.say(
                "b.test",
                unix=now + leaves,
                leaves=leaves,
                address=f"127.0.0.1:{number}",
            )
    assert "'b.test' has had too many addresses" in heard.log[-1]
    heard.subscriptions.tick()
    packet[3] = 1
    heard.subscriptions.take(bytes(packet))
    assert heard.nodes == [("a.test", "127.0.0.1:1")]
    # What is so old that its clock gives it away need not be remembered.
    heard.subscriptions._times["b.test"] = dict.fromkeys("123", now - 100)
    heard.say("b.test", unix=now + 2, address="127.0.0.1:9")
    assert ("b.test", "127.0.0.1:9") in heard.nodes


def test_any_change_of_a_packet_breaks_its_signature(keys: Path) -> None:
    heard = Signed(keys)
    packet = Signed(keys).say("a.test", unix=int(time.time()))
    for position in range(4, len(packet), 3):  # uWSGI signs no headers
        changed = bytearray(packet)
        changed[position] ^= 1
        heard.subscriptions.take(bytes(changed))
    assert not heard.nodes
    heard.subscriptions.take(packet)
    assert heard.nodes


def test_some_users_need_no_signature(keys: Path) -> None:
    heard = Signed(keys, unsigned_uids=frozenset({7}))
    heard.hear(credentials=Credentials(1, 8, 8))
    assert not heard.nodes
    heard.hear(credentials=Credentials(1, 7, 7))
    assert heard.nodes


@pytest.mark.parametrize("text", ["SHA256", "SHA999:/", "SHA256:/nowhere/at/all", ":"])
def test_a_check_that_cannot_be_meant_is_refused(text: str, keys: Path) -> None:
    with pytest.raises(ConfigError):
        SignatureCheck(text)
    with pytest.raises(ConfigError):
        make_signer(text)


# -- sockets ---------------------------------------------------------------------------


def test_datagrams_are_heard_with_their_senders_credentials(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    acks = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    acks.bind(str(tmp_path / "acks"))
    acks.settimeout(5)
    with (
        acks,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender,
    ):
        receiver.bind(path)
        receiver.setblocking(False)
        heard = Heard()
        ears = Ears(receiver, get_hub(), heard.subscriptions, with_credentials=True)
        ears.start()
        told = Announcement("a.test", "h:1", notify=str(tmp_path / "acks"))
        sender.sendto(encode_announcement(told), path)
        sender.sendto(b"", path)
        sender.sendto(os.urandom(9000), path)
        for _ in range(500):
            if heard.nodes:
                break
            sleep(0.01)
        ears.stop()
        node = heard.table.pools["a.test"].nodes[0]
        assert (node.uid, node.pid) == (os.getuid(), os.getpid())
        assert acks.recv(999) == b"[subscription ack] a.test => new node: h:1"


def test_what_is_heard_can_be_told_to_another_router() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as above:
        above.bind(("127.0.0.1", 0))
        above.settimeout(5)
        port = above.getsockname()[1]
        target = f"127.0.0.1:{port}"
        heard = Heard(forward=Forwarder([target], "127.0.0.1:80"))
        other = Heard()
        heard.hear(weight=4)
        other.subscriptions.take(above.recv(9999))
        assert other.nodes == [("a.test", "127.0.0.1:80")]
        heard.hear(leaves=True)
        other.subscriptions.take(above.recv(9999))
        assert not other.nodes


def test_a_server_that_is_none_is_refused() -> None:
    for text in ("fd://1", "no such host.:1", ""):
        with pytest.raises(ConfigError):
            datagram_target(text)
    assert datagram_target("@a") == (socket.AF_UNIX, "\0a")
    assert datagram_target(":1")[1][0] == "127.0.0.1"
