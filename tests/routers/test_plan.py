"""Which routers run, and what is told of those that cannot."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from geuwsgi.config import Configuration, load
from geuwsgi.errors import ConfigError
from geuwsgi.routers.announcing import targets_of
from geuwsgi.routers.options import RouterOptions
from geuwsgi.routers.plan import (
    active_kinds,
    check_plan,
    for_workers,
    own_socket,
    router_places,
)


@pytest.fixture
def ini(tmp_path: Path) -> Any:
    def make(text: str) -> Configuration:
        path = tmp_path / "site.ini"
        path.write_text(f"[uwsgi]\n{text}\n")
        return load([str(path)], {})

    return make


def kinds(configuration: Configuration) -> list[str]:
    return active_kinds(configuration.settings)


def test_without_backends_the_workers_serve_http(ini: Any) -> None:
    assert kinds(ini("http = :8080")) == []
    assert kinds(ini("http-socket = :8080\nhttp-to = 127.0.0.1:1")) == []


@pytest.mark.parametrize("own", ["127.0.0.1:3031", ":3031", "0.0.0.0:3031"])
def test_own_sockets_are_no_backends(ini: Any, own: str) -> None:
    assert kinds(ini(f"http = :80\nsocket = :3031\nhttp-to = {own}")) == []
    more = f"http = :80\nsocket = :3031\nhttp-to = {own}\nhttp-to = 127.0.0.1:9"
    assert kinds(ini(more)) == ["http"]


@pytest.mark.parametrize(
    "line",
    [
        "http-to = 127.0.0.1:9",
        "http-use-base = /run",
        "http-use-pattern = /run/%%s",
        "http-use-cache = true",
        "http-use-code-string = 0:a.py:f",
        "http-subscription-server = 127.0.0.1:7000",
    ],
)
def test_whatever_names_other_instances_makes_a_router(ini: Any, line: str) -> None:
    assert kinds(ini(f"http = :80\n{line}")) == ["http"]
    assert kinds(ini(line)) == []


def test_routers_take_their_listeners_from_the_workers(ini: Any) -> None:
    configuration = ini(
        "http = :80\nhttp-to = 127.0.0.1:9\nhttp-socket = :81\nhttp-stats = :82\n"
        "fastrouter = :83\nfastrouter-subscription-server = :83\nfastrouter-processes = 2"
    )
    left = for_workers(configuration.listeners, configuration.settings)
    assert [spec.address for spec in left] == [":81"]
    places = router_places(configuration.settings)
    assert [(place.kind, place.number) for place in places] == [
        ("http", 1),
        ("fastrouter", 1),
        ("fastrouter", 2),
    ]


@pytest.mark.parametrize("kind", ["fastrouter", "rawrouter", "sslrouter"])
def test_a_router_without_backends_is_refused_with_its_place(
    ini: Any, kind: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        check_plan(ini(f"{kind} = :80"))
    assert caught.value.origin.endswith("site.ini:2")
    assert f"{kind}-to" in caught.value.message


def test_a_malformed_backend_is_refused_with_its_place(ini: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        check_plan(ini("fastrouter = :80\nfastrouter-to = :1\nfastrouter-to = h:x"))
    assert str(caught.value).endswith(
        "site.ini:4: fastrouter-to: malformed port 'x' in the address 'h:x'"
    )


def test_a_router_may_use_a_socket_of_the_instance(ini: Any) -> None:
    settings = ini("socket = /run/a\nsocket = :2\nfastrouter = :1").settings
    assert own_socket(settings, "", "o") == "/run/a"
    assert own_socket(settings, "1", "o") == ":2"
    with pytest.raises(ConfigError, match="no socket 2"):
        own_socket(settings, "2", "o")


def test_options_of_all_kinds_have_the_same_meaning(ini: Any) -> None:
    settings = ini(
        "rawrouter-to = h:1\nsslrouter-timeout = 5\nsslrouter-sni = true\n"
        "fastrouter-force-key = k\nhttp-connect-timeout = 3"
    ).settings
    assert RouterOptions.of(settings, "rawrouter").to == ("h:1",)
    assert RouterOptions.of(settings, "sslrouter").timeout == 5
    assert RouterOptions.of(settings, "sslrouter").sni
    assert RouterOptions.of(settings, "fastrouter").force_key == "k"
    assert RouterOptions.of(settings, "http").connect_timeout == 3


# -- what an instance announces --------------------------------------------------------


def listener(name: str, protocol: str = "uwsgi", path: str = "") -> Any:
    return SimpleNamespace(name=name, protocol=protocol, path=path, tls="")


def announced(configuration: Configuration, *listeners: Any) -> list[Any]:
    return targets_of(configuration, listeners or (listener("127.0.0.1:3031"),))


def test_the_short_form_names_a_server_and_a_key(ini: Any) -> None:
    (target,) = announced(ini("subscribe-to = 127.0.0.1:7000:a.test:80,5"))
    assert target.server == ("127.0.0.1", 7000)
    told = target.announcement
    assert (told.key, told.address, told.modifier1) == (
        "a.test:80",
        "127.0.0.1:3031",
        5,
    )
    for server in ("/run/s", "@s"):
        (target,) = announced(ini(f"st = {server}:a.test"))
        assert target.announcement.key == "a.test"
    (target,) = announced(ini("subscribe = [::1]:7000:a.test"))
    assert target.server[:2] == ("::1", 7000)


def test_the_long_form_says_everything(ini: Any) -> None:
    configuration = ini(
        "weight = 2\nsubscribe2 = server=127.0.0.1:7000,key=a,addr=h:1,weight=9,"
        "modifier1=5,modifier2=6,algo=ip-hash,backup=1,proto=http,check=/x,sni_crt=/c"
        "\nsubscribe2 = server=/run/s,key=b"
    )
    one, two = announced(configuration)
    told = one.announcement
    assert (told.address, told.weight, told.backup) == ("h:1", 9, 1)
    assert (told.modifier1, told.modifier2) == (5, 6)
    assert (told.algorithm, told.protocol, one.check) == ("iphash", "http", "/x")
    assert two.announcement.weight == 2


def test_keys_may_stand_in_a_file(ini: Any, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("a.test\n\n# no\nb.test,7\n")
    found = announced(ini(f"subscribe-to = 127.0.0.1:7000:@{tmp_path}/keys"))
    told = [(t.announcement.key, t.announcement.modifier1) for t in found]
    assert told == [("a.test", 0), ("b.test", 7)]


def test_the_address_is_that_of_the_first_socket_a_router_can_speak_on(
    ini: Any,
) -> None:
    line = ini("subscribe-to = 127.0.0.1:7000:a")
    (target,) = announced(
        line, listener("h:1", "fastcgi"), listener(":2", "http"), listener(":3")
    )
    assert target.announcement.address == "0.0.0.0:3"
    (target,) = announced(line, listener(":2", "http"))
    assert target.announcement.protocol == "http"
    (target,) = announced(line, listener("s", path="/run/s"))
    assert target.announcement.address == "/run/s"
    chosen = ini("subscribe2 = server=127.0.0.1:7000,key=a,socket=1")
    (target,) = announced(chosen, listener("h:1"), listener("h:2"))
    assert target.announcement.address == "h:2"


def test_a_weight_may_follow_from_the_cores(ini: Any) -> None:
    text = "auto-weight = true\ngevent = 10\nprocesses = 3\nsubscribe-to = @s:a"
    assert announced(ini(text))[0].announcement.weight == 30


@pytest.mark.parametrize(
    "line",
    [
        "subscribe-to = 127.0.0.1:7000",
        "subscribe-to = key",
        "subscribe-to = 127.0.0.1:x:key",
        "subscribe-to = 127.0.0.1:7000:@/no/such/file",
        "subscribe2 = server=127.0.0.1:7000",
        "subscribe2 = key=a",
        "subscribe2 = server=@s,key=a,wieght=3",
        "subscribe2 = server=@s,key=a,weight=x",
        "subscribe2 = server=@s,key=a,socket=4",
        "subscribe2 = server=@s,key=a,algo=best",
        "subscribe2 = server=@s,key=a,sign=SHA256:/no/such/key",
    ],
)
def test_what_cannot_be_announced_is_refused_with_its_place(
    ini: Any, line: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        announced(ini(line))
    assert caught.value.origin.endswith("site.ini:2")
    assert caught.value.message.startswith(line.partition(" ")[0])


def test_who_has_no_socket_announces_nothing(ini: Any) -> None:
    with pytest.raises(ConfigError, match="nothing that a router could connect to"):
        targets_of(ini("subscribe-to = @s:a"), [])
