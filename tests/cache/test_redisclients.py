"""What connections to a server say of it. No server is needed for that."""

from __future__ import annotations

import sys
import traceback

import gevent
import pytest

from geuwsgi.background.channels import Channels
from geuwsgi.background.redislocks import RedisLock
from geuwsgi.background.redisqueue import RedisQueue
from geuwsgi.cache.rediscache import RedisCache
from geuwsgi.cache.redisclients import RedisClients, ServerUnavailable, find_package
from geuwsgi.cache.spec import CacheSpec
from geuwsgi.errors import ConfigError, StartupError

pytest.importorskip("redis")

URLS = [
    # Nobody listens at the port of tcpmux.
    "redis://somebody:sesame@127.0.0.1:1/0",
    "redis://127.0.0.1:1/0?password=sesame",
    # A password that is not quoted ends early, and is taken for a port.
    "redis://somebody:sesame/street@127.0.0.1:1/0",
]


@pytest.mark.parametrize("url", URLS)
def test_a_password_is_in_no_message_and_no_traceback(url: str) -> None:
    clients = RedisClients(url)
    for _ in range(2):
        with pytest.raises(ServerUnavailable) as caught, clients.client():
            pass
        assert "redis://" in str(caught.value)
        assert "sesame" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("url", URLS)
def test_a_password_is_not_in_the_log(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines: list[str] = []
    cache = RedisCache(CacheSpec("far", backend=url), lines.append)
    assert cache.get(b"key") is None
    assert not RedisLock(RedisClients(url), 0, log=lines.append).acquire(timeout_s=0)
    queue = RedisQueue(url, size=4, blocksize=100, log=lines.append)
    assert not queue.push(b"message")
    channels = Channels(None, url)
    channels.enter_process()
    channels.channel("news").subscribe(lambda message: None)
    told = ""
    with gevent.Timeout(10):
        while "channels: " not in told:
            gevent.sleep(0.005)
            told += capsys.readouterr().err
    channels.close()
    assert len(lines) == 3
    assert "sesame" not in told + "".join(lines)


def test_a_missing_package_does_not_tell_the_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("redis", "valkey"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(StartupError, match="wants the package") as caught:
        find_package(URLS[0])
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["name=far,backend=rediz://:sesame@cache.test", "backend=redis://:sesame@c.test"],
)
def test_a_malformed_cache_does_not_tell_the_password(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        CacheSpec.parse(text)
    assert "***@c" in str(caught.value)
    assert "sesame" not in str(caught.value)
