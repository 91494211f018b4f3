"""The emperor's decisions, and how files become command lines."""

from __future__ import annotations

import math
import os
import socket
import sys
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from geuwsgi.errors import ConfigError, StartupError
from geuwsgi.master.census import blacklist_of, throttle_level_of, vassals_of
from geuwsgi.master.loyalty import Distress
from geuwsgi.master.ondemand import Demand
from geuwsgi.master.realm import (
    EXILED,
    Candidate,
    Command,
    Deed,
    Kill,
    Laws,
    Log,
    Realm,
    Sign,
    Start,
    Tell,
)
from geuwsgi.master.vassals import Recruiting, Search
from geuwsgi.options import Emperor, Hooks
from geuwsgi.shared import scoreboard as sb

LAWS = Laws(throttle_s=1.0, max_throttle_s=4.0)


def file(name: str, modified_ns: int = 1, uid: int = 1000) -> Candidate:
    return Candidate(f"/v/{name}", name, "/v", "--ini", modified_ns, uid, 1000)


def found(*candidates: Candidate) -> dict[str, Candidate]:
    return {candidate.path: candidate for candidate in candidates}


def names(deeds: list[Deed]) -> list[str]:
    """Deeds as short words, without what is only for the log."""
    words = []
    for deed in deeds:
        if isinstance(deed, Start):
            words.append(f"start {deed.candidate.name}")
        elif isinstance(deed, Tell):
            words.append(f"{deed.command.name.lower()} {Path(deed.path).name}")
        elif isinstance(deed, Kill):
            words.append(f"kill {Path(deed.path).name}")
    return words


def told(deeds: list[Deed]) -> str:
    return "\n".join(deed.line for deed in deeds if isinstance(deed, Log))


def realm_with(*vassals: str, laws: Laws = LAWS) -> Realm:
    """A realm whose vassals are ready since 0."""
    realm = Realm(laws)
    realm.see(found(*map(file, vassals)), 0.0)
    for name in vassals:
        realm.hear(f"/v/{name}", Sign.READY, 0.0)
    return realm


def test_files_that_are_there_are_started() -> None:
    realm = Realm(LAWS)
    assert names(realm.see(found(file("a"), file("b")), 0.0)) == ["start a", "start b"]
    assert names(realm.see(found(file("a"), file("b")), 3.0)) == []


def test_one_that_is_touched_is_reloaded_and_no_other() -> None:
    realm = realm_with("a", "b")
    deeds = realm.see(found(file("a", 2), file("b")), 3.0)
    assert names(deeds) == ["reload a"]


def test_a_time_that_goes_back_is_a_touch_as_well() -> None:
    realm = realm_with("a")
    assert names(realm.see(found(file("a", 0)), 3.0)) == ["reload a"]


def test_one_that_is_removed_is_drained_and_forgotten_when_it_has_ended() -> None:
    realm = realm_with("a", "b")
    assert names(realm.see(found(file("b")), 3.0)) == ["drain a"]
    assert names(realm.see(found(file("b")), 6.0)) == []
    assert names(realm.exited("/v/a", 0, 7.0)) == []
    assert [vassal.candidate.name for vassal in realm] == ["b"]


def test_one_that_comes_back_while_it_ends_is_started_again() -> None:
    realm = realm_with("a")
    realm.see({}, 3.0)
    assert names(realm.see(found(file("a", 2)), 4.0)) == []
    assert names(realm.exited("/v/a", 0, 5.0)) == ["start a"]


def test_one_that_does_not_end_is_killed() -> None:
    realm = realm_with("a")
    realm.see({}, 3.0)
    assert realm.next_deadline() == 33.0
    assert names(realm.tick(32.0)) == []
    assert names(realm.tick(33.0)) == ["kill a"]


def test_failures_are_tried_again_later_and_later() -> None:
    realm = Realm(LAWS)
    realm.see(found(file("a")), 0.0)
    now, delays = 0.0, []
    for _ in range(5):
        assert names(realm.exited("/v/a", 1, now)) == []
        delays.append(realm.next_deadline() - now)
        now = realm.next_deadline()
        assert names(realm.tick(now)) == ["start a"]
    assert delays == [1.0, 2.0, 3.0, 4.0, 4.0]


def test_a_touch_calls_a_failed_one_at_once() -> None:
    realm = Realm(LAWS)
    realm.see(found(file("a")), 0.0)
    realm.exited("/v/a", 1, 0.0)
    assert names(realm.see(found(file("a", 2)), 0.1)) == ["start a"]
    realm.exited("/v/a", 1, 0.2)
    assert realm.next_deadline() == pytest.approx(1.2)


def test_one_that_served_for_a_while_is_started_again_at_once() -> None:
    realm = realm_with("a")
    assert names(realm.exited("/v/a", -9, 10.0)) == ["start a"]


def test_one_that_fails_just_after_it_was_ready_is_throttled() -> None:
    realm = realm_with("a")
    assert names(realm.exited("/v/a", -9, 0.5)) == []
    assert realm.next_deadline() == 1.5


def test_without_a_blacklist_failures_are_tried_again_at_once() -> None:
    realm = Realm(Laws(throttle_s=0.0))
    realm.see(found(file("a")), 0.0)
    assert names(realm.exited("/v/a", 1, 0.0)) == ["start a"]


def test_what_cannot_be_started_is_a_failure() -> None:
    realm = Realm(LAWS)
    realm.see(found(file("a")), 0.0)
    deeds = realm.failed("/v/a", "no such program", 0.0)
    assert "no such program" in told(deeds)
    assert names(realm.tick(1.0)) == ["start a"]


def test_an_exile_comes_back_when_its_file_is_touched() -> None:
    realm = realm_with("a")
    assert names(realm.exited("/v/a", EXILED, 5.0)) == []
    assert realm.next_deadline() == math.inf
    assert names(realm.see(found(file("a", 2)), 9.0)) == ["start a"]


def test_one_that_retires_is_drained_and_stays_away() -> None:
    realm = realm_with("a")
    assert names(realm.hear("/v/a", Sign.RETIRES, 1.0)) == ["drain a"]
    assert names(realm.exited("/v/a", 0, 2.0)) == []
    assert names(realm.see(found(file("a")), 3.0)) == []


def test_a_heartbeat_that_stops_ends_the_vassal() -> None:
    realm = realm_with("a")
    assert realm.next_deadline() == math.inf  # none is needed from who sends none
    realm.hear("/v/a", Sign.HEARTBEAT, 10.0)
    assert names(realm.tick(39.9)) == []
    assert names(realm.tick(40.0)) == ["stop a"]
    assert names(realm.exited("/v/a", 0, 41.0)) == ["start a"]


def test_unknown_signs_and_unknown_vassals_are_ignored() -> None:
    realm = realm_with("a")
    assert realm.hear("/v/a", 99, 1.0) == []
    assert realm.hear("/v/nobody", Sign.READY, 1.0) == []


def test_the_end_drains_everybody_and_is_over_when_all_have_ended() -> None:
    realm = realm_with("a", "b")
    realm.see(found(file("a"), file("b"), file("c")), 0.0)
    realm.exited("/v/c", 1, 0.0)
    assert names(realm.stop(1.0, gracefully=True)) == ["drain a", "drain b"]
    assert not realm.is_over
    assert realm.see(found(file("d")), 2.0) == []
    realm.exited("/v/a", 0, 2.0)
    realm.exited("/v/b", 0, 2.0)
    assert realm.is_over


def test_asked_twice_to_stop_the_emperor_kills() -> None:
    realm = realm_with("a")
    assert names(realm.stop(1.0, gracefully=False)) == ["stop a"]
    assert names(realm.stop(2.0, gracefully=False)) == ["kill a"]


def test_a_reload_of_all_tries_failed_ones_too() -> None:
    realm = realm_with("a")
    realm.see(found(file("a"), file("b")), 0.0)
    realm.exited("/v/b", 1, 0.0)
    assert names(realm.reload(0.1)) == ["reload a", "start b"]


@pytest.mark.parametrize(("minds", "word"), [(True, "drain"), (False, "reload")])
def test_a_tyrant_starts_anew_what_has_another_owner(minds: bool, word: str) -> None:
    realm = realm_with("a", laws=Laws(minds_owners=minds))
    assert names(realm.see(found(file("a", 2, uid=7)), 3.0)) == [f"{word} a"]


def test_commands_are_the_bytes_of_uwsgi() -> None:
    assert [int(c) for c in Command] == [0, 1, 2]


# -- files -----------------------------------------------------------------------------


def test_a_directory_gives_the_files_of_known_kinds(tmp_path: Path) -> None:
    for name in ("b.ini", "a.yml", "c.xml", "d.js", "notes.txt", "e.skel", "old.ini~"):
        (tmp_path / name).write_text("")
    (tmp_path / "dir.ini").mkdir()
    (tmp_path / "nowhere.ini").symlink_to(tmp_path / "missing")
    search = Search((str(tmp_path),), more_endings=(".skel",))
    vassals = [(c.name, c.flag, c.directory) for c in search.run().values()]
    assert vassals == [
        ("a.yml", "--yaml", str(tmp_path)),
        ("b.ini", "--ini", str(tmp_path)),
        ("c.xml", "--xml", str(tmp_path)),
        ("d.js", "--json", str(tmp_path)),
        ("e.skel", "--config", str(tmp_path)),
    ]


def test_a_pattern_gives_paths(tmp_path: Path) -> None:
    for site in ("one", "two"):
        (tmp_path / site).mkdir()
        (tmp_path / site / "vassal.ini").write_text("")
    options = Emperor(emperor=("*/vassal.ini",))
    search = Search.of(options, str(tmp_path))
    assert [c.name for c in search.run().values()] == [
        str(tmp_path / "one" / "vassal.ini"),
        str(tmp_path / "two" / "vassal.ini"),
    ]


def test_a_source_that_is_not_there_gives_nothing(tmp_path: Path) -> None:
    assert Search((str(tmp_path / "none"),)).run() == {}


def test_other_sources_are_refused() -> None:
    with pytest.raises(ConfigError, match="not by amqp"):
        Search.of(Emperor(emperor=("amqp://localhost",)), "/")


def test_links_are_followed_unless_asked(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("")
    os.utime(target, ns=(5, 5))
    (tmp_path / "a.ini").symlink_to(target)
    (followed,) = Search((str(tmp_path),)).run().values()
    (itself,) = Search((str(tmp_path),), follows_links=False).run().values()
    assert followed.modified_ns == 5
    assert itself.modified_ns != 5


def test_options_of_vassals_come_in_the_order_of_uwsgi() -> None:
    options = Emperor(
        emperor_wrapper="/bin/run",
        vassal_set=("x=y",),
        vassals_include=("inc",),
        vassals_include_before=("incb",),
        vassals_inherit=("inh",),
        vassals_inherit_before=("inhb",),
    )
    line = " ".join(Recruiting.of(options, Hooks()).arguments(file("a.ini")))
    assert line == (
        "/bin/run --inherit inhb --include incb --set x=y "
        "--ini a.ini --inherit inh --include inc"
    )


@pytest.mark.parametrize(
    ("options", "program"),
    [
        (Emperor(emperor_wrapper="/bin/sh"), "/bin/sh"),
        (
            Emperor(
                emperor_wrapper="/bin/sh", emperor_wrapper_override=("/none", "/bin/ls")
            ),
            "/bin/ls",
        ),
        (
            Emperor(emperor_wrapper="/none", emperor_wrapper_fallback=("/bin/ls",)),
            "/bin/ls",
        ),
        (Emperor(emperor_wrapper="/none"), "/none"),
        (Emperor(emperor_wrapper_fallback=("/bin/ls",)), sys.executable),
    ],
)
def test_the_first_wrapper_that_is_there_is_started(
    options: Emperor, program: str
) -> None:
    assert Recruiting.of(options, Hooks()).arguments(file("a.ini"))[0] == program


def test_an_executable_file_is_run_if_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.ini"
    path.write_text("")
    path.chmod(0o755)
    (vassal,) = Search((str(tmp_path),)).run().values()
    recruiting = Recruiting.of(Emperor(emperor_magic_exec=True), Hooks())
    assert recruiting.arguments(vassal)[-2:] == ["--ini", f"exec://{path}"]


def test_a_tyrant_refuses_what_belongs_to_root() -> None:
    recruiting = Recruiting.of(Emperor(emperor_tyrant=True), Hooks())
    assert recruiting.owner(file("a")) == (1000, 1000)
    with pytest.raises(StartupError, match="belong to root"):
        recruiting.owner(file("a", uid=0))


def test_hooks_of_vassals_are_commands() -> None:
    with pytest.raises(ConfigError, match="only exec"):
        Recruiting.of(Emperor(), Hooks(hook_as_vassal=("chdir:/",)))


def test_one_that_sleeps_is_started_when_it_is_called() -> None:
    realm = Realm(LAWS)
    assert names(realm.see(found(file("a")), 0.0)) == ["start a"]
    realm.sleeps("/v/a")
    assert realm.next_deadline() == math.inf
    assert names(realm.tick(100.0)) == []
    assert names(realm.is_called("/v/a", 101.0)) == ["start a"]
    realm.hear("/v/a", Sign.READY, 102.0)
    assert names(realm.is_called("/v/a", 103.0)) == []
    assert names(realm.exited("/v/a", 0, 110.0)) == ["start a"]
    realm.sleeps("/v/a")
    assert names(realm.see(found(file("a", 2)), 120.0)) == ["start a"]
    realm.sleeps("/v/a")
    assert told(realm.see({}, 123.0)) == "[emperor] vassal a removed"
    assert not realm.vassals


def test_an_emperor_that_stops_waits_for_none_that_sleeps() -> None:
    realm = Realm(LAWS)
    realm.see(found(file("a")), 0.0)
    realm.sleeps("/v/a")
    realm.stop(1.0, gracefully=True)
    assert realm.is_over


def test_reinforcements_come_of_the_section_zerg_and_go_for_good() -> None:
    realm = realm_with("a", "b", laws=Laws(reinforcements=2))
    assert names(realm.hear("/v/a", Sign.NEEDS_HELP, 1.0)) == ["start a:zerg"]
    assert names(realm.hear("/v/b", Sign.NEEDS_HELP, 2.0)) == ["start b:zerg"]
    assert "no more" in told(realm.hear("/v/a", Sign.NEEDS_HELP, 3.0))
    # They stay although they have no file, and reload with the vassal they help.
    assert names(realm.see(found(file("a", 2), file("b")), 4.0)) == [
        "reload a",
        "reload a:zerg:1",
    ]
    assert names(realm.exited("/v/a:zerg:1", 0, 9.0)) == []
    assert names(realm.hear("/v/a", Sign.NEEDS_HELP, 10.0)) == ["start a:zerg"]
    assert names(realm.see(found(file("b")), 12.0)) == ["drain a", "drain a:zerg:1"]


def test_without_a_brood_nobody_helps() -> None:
    realm = realm_with("a")
    assert names(realm.hear("/v/a", Sign.NEEDS_HELP, 1.0)) == []


def demand(tmp_path: Path, **options: str) -> str:
    vassal = Candidate(str(tmp_path / "a.ini"), "a.ini", str(tmp_path), "--ini", 1)
    return Demand.of(Emperor(**options), str(tmp_path)).address_of(vassal)  # type: ignore[arg-type]


def test_where_the_socket_of_a_vassal_on_demand_is(tmp_path: Path) -> None:
    assert demand(tmp_path) == ""
    assert demand(tmp_path, emperor_on_demand_ext=".at") == ""
    (tmp_path / "a.ini.at").write_text("127.0.0.1:80\n")
    assert demand(tmp_path, emperor_on_demand_ext=".at") == "127.0.0.1:80"
    where = demand(tmp_path, emperor_on_demand_dir="doors")
    assert where == str(tmp_path / "doors" / "a.ini.socket")
    assert demand(tmp_path, emperor_on_demand_exec="echo /run/of-") == "/run/of- a.ini"
    assert demand(tmp_path, emperor_on_demand_exec="false") == ""


def test_a_vassal_in_distress_says_so_once_in_a_while() -> None:
    distress = Distress(busy_limit_s=2.0, backlog=0, cores=3, listeners=())
    rows = [[0] * sb.FIELDS, [0] * sb.FIELDS]
    workers: list[Any] = [SimpleNamespace(row=row) for row in rows]

    def busy(first: int, second: int, now: float) -> bool:
        rows[0][sb.CORES_BUSY], rows[1][sb.CORES_BUSY] = first, second
        return distress.is_there(workers, now)

    assert not busy(3, 2, 0.0)
    assert not busy(3, 3, 1.0)
    assert not busy(3, 3, 2.9)
    assert busy(3, 3, 3.0)
    assert not busy(3, 3, 7.9)
    assert busy(3, 3, 8.0)
    assert not busy(2, 3, 20.0)
    assert not busy(3, 3, 21.0)
    assert not distress.is_there([], 90.0)


def test_the_census_tells_of_those_that_run_and_those_that_sleep() -> None:
    realm = Realm(LAWS)
    realm.see(found(file("a"), file("b"), file("c")), 10.0)
    realm.hear("/v/a", Sign.READY, 12.0)
    realm.hear("/v/a", Sign.LOYAL, 13.0)
    realm.sleeps("/v/b")
    realm.exited("/v/c", 1, 14.0)
    told = vassals_of(
        realm, {"/v/a": 77}, {"/v/b": "/run/b"}, now=20.0, unix_offset=1000.0
    )
    assert [(v["id"], v["pid"], v["on_demand"]) for v in told] == [
        ("a", 77, ""),
        ("b", -1, "/run/b"),
    ]
    assert (told[0]["ready"], told[0]["last_ready"]) == (1, 1012)
    assert (told[0]["loyal"], told[0]["last_loyal"]) == (1, 1013)
    assert (told[1]["ready"], told[1]["respawns"]) == (0, 0)
    assert blacklist_of(realm) == [{"id": "c", "throttle_level": 1000}]
    assert throttle_level_of(realm) == 1000


def test_a_vassal_whose_visitors_wait_is_in_distress() -> None:
    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        listeners: Any = [SimpleNamespace(socket=listening)]
        distress = Distress(busy_limit_s=0.0, backlog=2, cores=3, listeners=listeners)
        workers: Any = [SimpleNamespace(row=[0] * sb.FIELDS)]
        for waiting in range(2):
            assert not distress.is_there(workers, float(waiting))
            client = socket.create_connection(listening.getsockname())
            stack.enter_context(client)
        assert distress.is_there(workers, 10.0)
        assert not distress.is_there(workers, 11.0)
        assert distress.is_there(workers, 15.0)
