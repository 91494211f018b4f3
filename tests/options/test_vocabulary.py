"""The declarations themselves: complete, consistent and well phrased."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import geuwsgi.options
from geuwsgi.options import (
    REGISTRY,
    Process,
    Routing,
    Settings,
    Standing,
    Workers,
)
from geuwsgi.options.foreign import FOREIGN
from geuwsgi.options.inert import INERT
from geuwsgi.options.inherent import INHERENT
from geuwsgi.options.kinds import Takes
from geuwsgi.options.pending import PENDING

OPTIONS = REGISTRY.options()


def test_no_name_is_declared_twice() -> None:
    names = [name for option in OPTIONS for name in option.names]
    names += [name for table in (INERT, FOREIGN) for name in table]
    names += [
        a for t in (INERT, FOREIGN) for entry in t.values() for a in entry.aliases
    ]
    assert sorted(names) == sorted(set(names))


def test_no_letter_is_declared_twice() -> None:
    letters = [option.short for option in OPTIONS if option.short]
    letters += [e.short for t in (INERT, FOREIGN) for e in t.values() if e.short]
    assert sorted(letters) == sorted(set(letters))


def test_help_is_an_imperative_phrase() -> None:
    for option in OPTIONS:
        first = option.help.split()[0]
        assert first.islower(), option.name
        assert first not in ("the", "a", "an", "number", "same", "alias"), option.name
        assert not option.help.endswith("."), option.name
        assert len(option.help) <= 120, option.name


def test_what_an_option_implies_is_a_flag() -> None:
    for option in OPTIONS:
        for name in option.implies:
            implied = REGISTRY.option(name)
            assert implied is not None
            assert implied.takes is Takes.NOTHING


def test_pending_options_are_declared_under_their_canonical_name() -> None:
    for name in PENDING:
        option = REGISTRY.option(name)
        assert option is not None, name
        assert option.name == name


def test_every_option_is_read_or_says_why_not() -> None:
    """An option that nothing reads must be pending, or ask for what is always so."""
    package = Path(geuwsgi.options.__file__).parents[1]
    words: set[str] = set()
    for file in package.rglob("*.py"):
        if file.relative_to(package).parts[0] not in ("options", "config"):
            text = file.read_text("utf-8")
            words.update(re.findall(r"\.([a-z]\w*)", text))
            words.update(re.findall(r"\"([a-z][\w-]*)\"", text))
    for section in REGISTRY.sections:
        if section is Routing:
            continue  # Rules are read in the order of their lines, not by section.
        for option in section.declared:
            if option.name in PENDING or option.name in INHERENT:
                continue
            assert words & {option.field, option.name}, (
                f"nothing reads {option.name}: add it to options/pending.py"
            )


def test_what_is_always_so_is_declared_and_not_pending() -> None:
    for name in INHERENT:
        option = REGISTRY.option(name)
        assert option is not None, name
        assert option.name == name
        assert name not in PENDING


def test_reasons_complete_a_sentence() -> None:
    for table in (INERT, FOREIGN):
        for name, entry in table.items():
            assert entry.reason, name
            assert not entry.reason.endswith("."), name
    for reason in PENDING.values():
        assert not reason.endswith(".")


@pytest.mark.parametrize(
    "name",
    [
        "master",
        "module",
        "gevent",
        "processes",
        "http",
        "socket",
        "wsgi-file",
        "callable",
        "chdir",
        "vacuum",
        "http-websockets",
        "threads",
        "uid",
        "die-on-term",
        "buffer-size",
        "http-socket",
        "gid",
        "harakiri",
        "chmod-socket",
        "workers",
        "pidfile",
        "lazy-apps",
        "max-requests",
        "daemonize",
        "virtualenv",
        "env",
        "disable-logging",
        "logto",
        "memory-report",
        "need-app",
        "listen",
        "pythonpath",
        "socket-timeout",
        "stats",
        "home",
        "static-map",
        "post-buffering",
        "ini",
        "strict",
        "mount",
        "py-autoreload",
        "cheaper",
        "cron2",
        "cache2",
        "spooler",
        "mule",
        "route",
        "attach-daemon",
        "log-format",
        "touch-reload",
    ],
)
def test_the_commonest_options_are_declared(name: str) -> None:
    assert REGISTRY.option(name) is not None


def test_names_that_uwsgi_knows_and_geuwsgi_does_not_need_are_known() -> None:
    for name, standing in (
        ("enable-threads", Standing.INERT),
        ("plugins", Standing.INERT),
        ("thunder-lock", Standing.INERT),
        ("rack", Standing.FOREIGN),
    ):
        known = REGISTRY.find(name)
        assert known is not None
        assert known.standing is standing


def test_settings_without_sections_have_all_defaults() -> None:
    settings = Settings()
    assert settings.workers.processes == 1
    assert settings.workers == Workers()
    assert settings == Settings()
    assert settings != object()
    assert repr(settings) == "Settings()"


def test_settings_cannot_be_changed_but_copied() -> None:
    settings = Settings(workers=Workers(gevent=5))
    with pytest.raises(AttributeError, match="settings are frozen"):
        settings.workers = Workers()
    other = settings.replace(process=Process(master=True))
    assert (other.workers.gevent, other.process.master) == (5, True)
    assert not settings.process.master
    assert hash(other) != hash(settings)
