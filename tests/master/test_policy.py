from __future__ import annotations

import math

import pytest

from geuwsgi.master import events as ev
from geuwsgi.master.events import Request
from geuwsgi.master.generation import Stage
from geuwsgi.master.plan import Plan, Role
from tests.master.world import World, stages


def two_workers(**fields: object) -> World:
    return World(Plan(members={Role.WORKER: 2}, **fields))  # type: ignore[arg-type]


# -- the start ---------------------------------------------------------------------


def test_the_template_comes_first_then_the_workers() -> None:
    world = two_workers(cores=10).begin()
    kinds = [type(action) for action in world.done if not isinstance(action, ev.Log)]
    assert kinds == [ev.StartTemplate, ev.Fork, ev.Fork, ev.Serve, ev.Serve]
    assert stages(world.members()) == [Stage.SERVING, Stage.SERVING]
    assert world.log == [
        "spawned uWSGI worker 1 (pid: 5001, cores: 10)",
        "spawned uWSGI worker 2 (pid: 5002, cores: 10)",
    ]
    assert world.policy.next_deadline() == math.inf


def test_nothing_is_forked_while_the_application_loads() -> None:
    world = two_workers()
    world.on_load = lambda generation: None
    world.begin().wait(10)
    assert not world.alive


def test_a_long_load_is_told_at_growing_intervals() -> None:
    world = two_workers()
    world.on_load = lambda generation: None
    world.begin().wait(200)
    told = [line for line in world.log if "still loading" in line]
    assert [line.split()[-2] for line in told] == ["30", "60", "120"]


@pytest.mark.parametrize(
    ("event", "status"),
    [
        (ev.TemplateLoaded(1, 0, None), 22),
        (ev.TemplateLoaded(1, 0, "no module named nope"), 22),
        (ev.TemplateExited(1, 1), 1),
        (ev.TemplateExited(1, 22), 22),
        (ev.TemplateExited(1, None), 1),
    ],
)
def test_what_fails_at_the_first_start_ends_the_instance(
    event: ev.Event, status: int
) -> None:
    world = two_workers(need_app=True)
    world.on_load = lambda generation: event
    assert world.begin().status == status
    assert not world.alive


def test_without_need_app_no_application_is_no_end() -> None:
    world = two_workers()
    world.on_load = lambda generation: ev.TemplateLoaded(1, 0, "no module named nope")
    assert world.begin().numbers_serving() == [1, 2]


def test_lazy_workers_may_lack_the_application_their_template_has_not() -> None:
    world = two_workers(need_app=True, lazy_apps=True)
    world.on_load = lambda generation: ev.TemplateLoaded(1, 0)
    assert world.begin().numbers_serving() == [1, 2]


def test_the_first_lazy_worker_without_the_needed_application_ends_everything() -> None:
    world = two_workers(need_app=True, lazy_apps=True)
    world.members_get_ready = False
    world.begin().exit(world.worker(1), 22)
    assert world.status == 22
    assert world.has_logged("OOPS ! failed loading app in worker 1 (pid 5001)")
    assert world.has_logged("need-app requested, destroying the instance...")


def test_a_template_killed_at_the_first_start_is_started_again() -> None:
    world = two_workers()
    world.on_load = lambda generation: None
    world.begin().template_exits(1, -9)
    world.on_load = lambda generation: ev.TemplateLoaded(generation, 1)
    assert world.count(ev.StartTemplate) == 1
    world.wait(3)
    assert world.numbers_serving() == [1, 2]


def test_mules_and_workers_are_forked_from_one_template() -> None:
    world = World(Plan(members={Role.WORKER: 1, Role.MULE: 2})).begin()
    assert [(m.role, m.number) for m in world.current.members.values()] == [
        (Role.WORKER, 1),
        (Role.MULE, 1),
        (Role.MULE, 2),
    ]
    assert "spawned uWSGI mule 2 (pid: 5003)" in world.log


# -- deaths ------------------------------------------------------------------------


def test_a_killed_worker_is_replaced_at_once() -> None:
    world = two_workers().begin().wait(60)
    world.exit(world.worker(1), -9)
    assert world.numbers_serving() == [1, 2]
    assert world.log[-2:] == [
        "DAMN ! worker 1 (pid: 5001) died, killed by signal 9 :( trying respawn ...",
        "Respawned uWSGI worker 1 (new pid: 5003)",
    ]


def test_one_early_death_is_forgiven_the_second_one_waits() -> None:
    world = two_workers(respawn_delay_s=2.0).begin()
    world.exit(world.worker(1), -11)
    assert world.numbers_serving() == [1, 2]
    world.exit(world.worker(1), -11)
    assert world.numbers_serving() == [2]
    assert world.log[-1] == (
        "worker respawning too fast !!! i have to sleep a bit (2 seconds)..."
    )
    world.wait(1.9)
    assert world.numbers_serving() == [2]
    world.wait(0.2)
    assert world.numbers_serving() == [1, 2]


def test_a_fork_bomb_is_throttled_and_leaves_the_others_alone() -> None:
    world = two_workers().begin()
    untouched = world.worker(2)
    for _ in range(50):
        for member in world.members():
            if member.number == 1:
                world.exit(member, 1)
        world.wait(1)
    assert world.count(ev.Fork) < 30
    assert world.worker(2) is untouched


def test_a_long_life_makes_up_for_early_deaths() -> None:
    world = two_workers().begin()
    world.exit(world.worker(1), 1).wait(100)
    world.exit(world.worker(1), 1)
    world.exit(world.worker(1), 1)
    assert world.numbers_serving() == [1, 2]


def test_a_worker_that_reloads_itself_is_replaced_without_a_lament() -> None:
    world = two_workers().begin()
    world.exit(world.worker(2), 17)
    assert world.numbers_serving() == [1, 2]
    assert not world.has_logged("DAMN")


def test_a_worker_whose_channel_closes_is_killed_if_it_stays() -> None:
    world = two_workers().begin()
    first = world.worker(1)
    world.tell(ev.MemberLost(first.serial)).wait(4)
    assert ev.Kill(first.serial) in world.done
    assert world.numbers_serving() == [1, 2]


def test_a_killed_template_leaves_the_workers_and_is_started_again() -> None:
    world = two_workers().begin().wait(60)
    before = world.members()
    world.template_exits(1, -9)
    assert world.members() == before
    assert world.templates == {1}


def test_a_worker_that_dies_without_a_template_waits_for_the_next_one() -> None:
    world = two_workers().begin().wait(60)
    world.on_load = lambda generation: None
    world.template_exits(1, -9)
    world.exit(world.worker(1), -9)
    assert world.numbers_serving() == [2]
    world.tell(ev.TemplateLoaded(1, 1))
    assert world.numbers_serving() == [1, 2]


def test_an_order_that_is_lost_with_the_template_is_given_again() -> None:
    world = two_workers()
    world.members_start = False
    world.begin()
    world.template_exits(1, -9)
    world.members_start = True
    for serial in list(world.alive):
        del world.alive[serial]
        world.tell(ev.MemberExited(serial, None))
    world.wait(5)
    assert world.numbers_serving() == [1, 2]


def test_a_template_that_dies_again_and_again_is_started_ever_more_seldom() -> None:
    world = two_workers().begin().wait(60)
    world.on_load = lambda generation: ev.TemplateExited(generation, -9)
    original = world.on_load

    def die(generation: int) -> ev.Event | None:
        world.templates.discard(generation)
        return original(generation)

    world.on_load = die
    world.template_exits(1, -9)
    world.wait(600)
    assert 5 < world.count(ev.StartTemplate) < 20
    assert world.numbers_serving() == [1, 2]


def test_code_that_broke_since_is_no_reason_to_give_up_what_serves() -> None:
    world = two_workers(need_app=True).begin().wait(60)
    world.on_load = lambda generation: ev.TemplateLoaded(generation, 0, "bad syntax")
    world.template_exits(1, -9)
    assert world.numbers_serving() == [1, 2]
    assert world.has_logged("the application cannot be loaded again: bad syntax")
    world.on_load = lambda generation: ev.TemplateLoaded(generation, 1)
    world.exit(world.worker(1), -9).wait(10)
    assert world.numbers_serving() == [1, 2]


# -- reload ------------------------------------------------------------------------


def test_a_reload_promotes_only_when_all_are_ready() -> None:
    world = two_workers().begin()
    world.members_get_ready = False
    world.ask(Request.RELOAD, "SIGHUP")
    assert world.log[-3] == "reload (SIGHUP): building generation 2"
    assert world.numbers_serving() == [1, 2]
    world.tell(ev.MemberReady(3))
    assert world.numbers_serving() == [1, 2]
    assert world.promoted == []
    world.tell(ev.MemberReady(4))
    assert world.promoted == [2]
    assert world.serving == {3, 4}
    assert world.forgotten == [1]
    assert world.templates == {2}


def test_the_new_workers_are_let_serve_before_the_old_ones_are_told_to_go() -> None:
    world = two_workers().begin()
    world.done.clear()
    world.ask(Request.RELOAD)
    order = [type(a) for a in world.done if isinstance(a, ev.Serve | ev.Drain)]
    assert order == [ev.Serve, ev.Serve, ev.Drain, ev.Drain]


def test_old_workers_drain_with_mercy_and_are_killed_after_it() -> None:
    world = two_workers(worker_mercy_s=30).begin()
    world.members_drain = False
    world.ask(Request.RELOAD)
    assert ev.Drain(1, "reload", 30) in world.done
    world.wait(31)
    assert len(world.alive) == 4
    world.wait(2)
    assert len(world.alive) == 2
    assert world.has_logged(
        "worker 1 (pid: 5001) does not end by itself...NO MERCY !!!"
    )
    assert world.forgotten == [1]


def test_a_brutal_reload_has_no_mercy() -> None:
    world = two_workers().begin()
    world.ask(Request.BRUTAL_RELOAD)
    assert ev.Drain(1, "reload", 0.0) in world.done


def test_a_wrong_configuration_changes_nothing() -> None:
    world = two_workers().begin()
    world.on_configure = lambda n: ev.ConfigurationFailed(n, "app.ini:3: no such port")
    world.ask(Request.RELOAD)
    assert world.log[-2:] == [
        "app.ini:3: no such port",
        "generation 2 failed: it cannot be configured; generation 1 keeps serving",
    ]
    assert world.numbers_serving() == [1, 2]
    assert world.count(ev.StartTemplate) == 1


@pytest.mark.parametrize(
    "event",
    [
        ev.TemplateLoaded(2, 0, "unable to load app 0"),
        ev.TemplateExited(2, 1),
        ev.TemplateExited(2, -9),
        ev.TemplateExited(2, None),
    ],
)
def test_a_template_that_fails_leaves_the_old_generation_serving(
    event: ev.Event,
) -> None:
    world = two_workers().begin()

    def fail(generation: int) -> ev.Event:
        if isinstance(event, ev.TemplateExited):
            world.templates.discard(generation)
        return event

    world.on_load = fail
    world.ask(Request.RELOAD)
    assert world.numbers_serving() == [1, 2]
    assert world.building is None
    assert world.log[-1].startswith("generation 2 failed: ")
    assert world.log[-1].endswith("; generation 1 keeps serving")
    assert world.forgotten == [2]
    assert world.templates == {1}


def test_a_template_that_hangs_leaves_the_old_generation_at_full_strength() -> None:
    world = two_workers().begin()
    world.on_load = lambda generation: None
    world.ask(Request.RELOAD).wait(100)
    assert world.has_logged(
        "still loading after 60 seconds; generation 1 keeps serving"
    )
    world.exit(world.worker(1), -9)
    assert world.numbers_serving() == [1, 2]


def test_another_reload_takes_the_place_of_one_that_hangs() -> None:
    world = two_workers().begin()
    world.on_load = lambda generation: None
    world.ask(Request.RELOAD)
    world.on_load = lambda generation: ev.TemplateLoaded(generation, 1)
    world.ask(Request.RELOAD)
    assert world.promoted == [3]
    assert sorted(world.forgotten) == [1, 2]
    assert world.numbers_serving() == [1, 2]


def end_all_that_is_built(world: World, code: int | None, *, pause: float) -> None:
    """Have the members of the generation in building exit until it is given up."""
    for _ in range(6):
        building = world.building
        if building is None:
            return
        for member in list(building.members.values()):
            world.exit(member, code)
        world.wait(pause)


def test_new_workers_that_die_before_they_are_ready_end_the_reload() -> None:
    world = two_workers().begin()
    world.members_get_ready = False
    world.ask(Request.RELOAD)
    end_all_that_is_built(world, 1, pause=3)
    assert world.building is None
    assert world.has_logged(
        "generation 2 failed: its workers die before they are ready; "
        "generation 1 keeps serving"
    )
    assert world.numbers_serving() == [1, 2]


def test_a_reload_for_which_nothing_can_be_forked_ends() -> None:
    world = two_workers().begin()
    world.members_start = False
    world.ask(Request.RELOAD)
    end_all_that_is_built(world, None, pause=1)
    assert world.building is None
    assert world.has_logged("generation 2 failed: its processes cannot be forked; ")
    assert world.numbers_serving() == [1, 2]
    # Where a generation serves already, it is tried for as long as it takes.
    world.exit(world.worker(1), -9)
    for _ in range(20):
        world.exit(world.worker(1), None)
        world.wait(1)
    world.members_start = True
    world.exit(world.worker(1), None)
    world.wait(3)
    assert world.numbers_serving() == [1, 2]


def test_one_new_worker_killed_by_chance_does_not_end_the_reload() -> None:
    world = two_workers().begin()
    world.members_get_ready = False
    world.ask(Request.RELOAD)
    assert world.building is not None
    world.exit(next(iter(world.building.members.values())), -9)
    for serial in list(world.alive):
        world.tell(ev.MemberReady(serial))
    assert world.promoted == [2]


def test_lazy_workers_that_cannot_load_end_the_reload() -> None:
    world = two_workers(lazy_apps=True).begin()
    world.members_get_ready = False
    world.ask(Request.RELOAD)
    world.tell(ev.MemberFailed(3, "unable to load app 0"))
    assert world.building is None
    assert world.numbers_serving() == [1, 2]


def test_a_worker_that_dies_during_a_reload_is_replaced_in_its_generation() -> None:
    world = two_workers().begin()
    world.members_get_ready = False
    world.ask(Request.RELOAD)
    world.exit(world.worker(1), -9)
    assert [m.generation for m in world.members()] == [1, 1]


def test_a_reload_before_anything_serves_starts_over() -> None:
    world = two_workers()
    world.on_load = lambda generation: None
    world.begin()
    world.on_load = lambda generation: ev.TemplateLoaded(generation, 1)
    world.ask(Request.RELOAD)
    assert world.current.number == 2
    assert world.numbers_serving() == [1, 2]
    assert world.forgotten == [1]


def test_a_reload_may_change_the_number_of_workers() -> None:
    world = two_workers().begin()
    world.plan = Plan(members={Role.WORKER: 4})
    assert world.ask(Request.RELOAD).numbers_serving() == [1, 2, 3, 4]
    world.plan = Plan(members={Role.WORKER: 1})
    assert world.ask(Request.RELOAD).numbers_serving() == [1]


def test_exit_on_reload_ends_the_instance() -> None:
    world = two_workers(exit_on_reload=True).begin()
    assert world.ask(Request.RELOAD).status == 0


def test_a_hundred_reloads_end_where_they_began() -> None:
    world = two_workers().begin()
    for _ in range(100):
        world.ask(Request.RELOAD).wait(1)
    assert world.numbers_serving() == [1, 2]
    assert world.policy.fleet.former == []
    assert world.forgotten == list(range(1, 101))


# -- chain reload ------------------------------------------------------------------


def test_a_chain_reload_takes_one_worker_at_a_time() -> None:
    world = two_workers().begin()
    world.members_drain = False
    world.ask(Request.CHAIN_RELOAD)
    assert world.log[-2:] == [
        "spawned uWSGI worker 1 (pid: 5003, cores: 1)",
        "chain next victim is worker 1",
    ]
    assert len(world.alive) == 3
    world.tell(ev.MemberExited(1, 0))
    del world.alive[1]
    world.serving.discard(1)
    assert world.log[-1] == "chain next victim is worker 2"
    world.members_drain = True
    world.tell(ev.MemberExited(2, 0))
    assert world.has_logged("chain reloading complete")
    assert world.promoted == [2]


def test_a_chain_reload_that_fails_half_way_restores_the_old_workers() -> None:
    world = two_workers().begin()
    world.members_drain = False
    world.ask(Request.CHAIN_RELOAD)
    building = world.building
    assert building is not None
    world.members_get_ready = False
    world.members_drain = True
    world.exit(world.policy.fleet.current.members[1])  # type: ignore[union-attr]
    for _ in range(3):
        for member in list(building.members.values()):
            if member.number == 2:
                world.exit(member, 1)
        world.wait(3)
    world.members_get_ready = True
    world.wait(3)
    for serial in list(world.alive):
        world.tell(ev.MemberReady(serial))
    assert world.building is None
    assert world.numbers_serving() == [1, 2]
    assert {fork.generation for fork in world.alive.values()} == {1}


# -- replacement -------------------------------------------------------------------


def test_who_retires_serves_until_the_successor_is_ready() -> None:
    world = two_workers().begin()
    world.members_get_ready = False
    first = world.worker(1)
    world.tell(ev.MemberRetires(first.serial, "max-requests"))
    assert first.stage is Stage.SERVING
    assert world.numbers_serving() == [1, 2]
    world.tell(ev.MemberReady(3))
    assert world.serving == {2, 3}
    assert ev.Drain(1, "max-requests", 60.0) in world.done


def test_successor_and_predecessor_have_different_slots() -> None:
    world = two_workers().begin()
    world.members_drain = False
    world.tell(ev.MemberRetires(1, "max-requests"))
    slots = [fork.slot for fork in world.alive.values()]
    assert len(set(slots)) == 3


def test_workers_are_never_replaced_all_at_once() -> None:
    world = World(Plan(members={Role.WORKER: 4})).begin()
    world.members_get_ready = False
    for member in world.members():
        world.tell(ev.MemberRetires(member.serial, "reload-on-rss"))
    assert len(world.alive) == 5
    for serial in (5, 6, 7, 8):
        assert len(world.alive) == 5
        world.tell(ev.MemberReady(serial))
    assert world.serving == {5, 6, 7, 8}


def test_a_successor_that_dies_is_tried_again_and_the_old_one_stays() -> None:
    world = two_workers().begin()
    world.members_get_ready = False
    world.tell(ev.MemberRetires(1, "max-requests"))
    for _ in range(3):
        successor = world.members()[1]
        world.exit(successor, 1).wait(3)
        assert world.numbers_serving() == [1, 2]
    world.members_get_ready = True
    world.tell(ev.MemberReady(max(world.alive)))
    assert 1 not in world.serving
    assert world.numbers_serving() == [1, 2]


def test_max_worker_lifetime_replaces_the_workers_at_different_times() -> None:
    world = two_workers(max_lifetime_s=100, max_lifetime_delta_s=7).begin()
    world.wait(106)
    assert {m.serial for m in world.members()} == {1, 2}
    world.wait(2)
    assert {m.serial for m in world.members()} == {2, 3}
    world.wait(7)
    assert {m.serial for m in world.members()} == {3, 4}


def test_reloading_the_workers_forks_all_successors_at_once() -> None:
    world = two_workers().begin()
    world.members_get_ready = False
    world.ask(Request.RELOAD_WORKERS, "fifo")
    assert len(world.alive) == 4
    assert world.numbers_serving() == [1, 2]
    world.tell(ev.MemberReady(3), ev.MemberReady(4))
    assert world.serving == {3, 4}
    assert world.count(ev.StartTemplate) == 1


def test_a_replacement_waits_for_a_free_slot() -> None:
    world = World(Plan(members={Role.WORKER: 1}, slots=2)).begin()
    world.members_drain = False
    world.tell(ev.MemberRetires(1, "max-requests"))
    world.tell(ev.MemberRetires(2, "max-requests"))
    assert len(world.alive) == 2
    world.alive.pop(1)
    world.tell(ev.MemberExited(1, 0))
    assert sorted(world.alive) == [2, 3]


# -- pause, stop -------------------------------------------------------------------


def test_pause_is_a_switch_and_holds_for_successors() -> None:
    world = two_workers().begin()
    world.ask(Request.PAUSE, "SIGTSTP")
    assert ev.Pause(1, True) in world.done
    world.exit(world.worker(1), -9)
    assert ev.Pause(3, True) in world.done
    world.ask(Request.PAUSE)
    assert ev.Pause(3, False) in world.done


def test_a_graceful_stop_waits_for_the_workers() -> None:
    world = two_workers(stop_mercy_s=20).begin()
    world.members_drain = False
    world.ask(Request.STOP, "SIGTERM")
    assert world.log[-1] == "graceful shutdown triggered (SIGTERM)..."
    assert ev.Drain(1, "stop", 20) in world.done
    assert world.status is None
    world.exit(world.policy.fleet.current.members[1])  # type: ignore[union-attr]
    assert world.status is None
    world.wait(23)
    assert world.status == 0


def test_a_brutal_stop_hastens_a_graceful_one() -> None:
    world = two_workers().begin()
    world.members_drain = False
    world.ask(Request.STOP)
    world.ask(Request.STOP)
    assert world.count(ev.Drain) == 2
    assert world.ask(Request.BRUTAL_STOP).status == 0


def test_a_stop_ends_also_what_a_reload_was_building() -> None:
    world = two_workers().begin()
    world.members_get_ready = False
    world.ask(Request.RELOAD)
    assert world.ask(Request.BRUTAL_STOP).status == 0
    assert world.templates == set()


def test_a_member_that_was_ordered_and_never_came_does_not_hold_up_the_stop() -> None:
    world = two_workers()
    world.members_start = False
    world.begin()
    world.members_drain = False
    assert world.ask(Request.STOP).wait(70).status == 0


def test_nothing_is_forked_or_reloaded_once_the_instance_stops() -> None:
    world = two_workers().begin()
    world.members_drain = False
    world.ask(Request.STOP)
    forks = world.count(ev.Fork)
    world.ask(Request.RELOAD)
    world.exit(world.policy.fleet.current.members[1])  # type: ignore[union-attr]
    assert world.count(ev.Fork) == forks
    assert world.has_logged("reload ignored: the instance is stopping")


def test_events_of_the_dead_are_harmless() -> None:
    world = two_workers().begin()
    for event in (
        ev.MemberStarted(99, 1),
        ev.MemberReady(99),
        ev.MemberFailed(99, ""),
        ev.MemberRetires(99, ""),
        ev.MemberLost(99),
        ev.MemberExited(99, 0),
        ev.TemplateLoaded(99),
        ev.TemplateExited(99, 0),
        ev.ConfigurationLoaded(99, Plan()),
        ev.ConfigurationFailed(99, ""),
    ):
        world.tell(event)
    assert world.numbers_serving() == [1, 2]
    world.ask(Request.BRUTAL_STOP)
    assert world.tell(ev.Asked(Request.RELOAD)).status == 0


def test_a_first_start_that_fails_while_a_newer_one_is_built_leaves_it_to_that() -> (
    None
):
    world = two_workers(need_app=True)
    world.on_load = lambda generation: None
    world.begin().ask(Request.RELOAD)
    world.tell(ev.TemplateLoaded(1, 0, "no module named nope"))
    assert world.status is None
    world.tell(ev.TemplateLoaded(2, 1))
    assert world.numbers_serving() == [1, 2]
    assert world.forgotten == [1]


def test_drain_delay_goes_on_for_a_while_and_then_stops() -> None:
    world = two_workers(drain_delay_s=5).begin()
    assert not world.policy.is_leaving
    world.ask(Request.STOP, "SIGTERM")
    assert world.policy.is_leaving and not world.policy.is_stopping
    assert world.log[-1] == "shutting down in 5 seconds (SIGTERM)"
    assert ev.Announce(1) in world.done
    world.wait(4)
    world.exit(world.worker(1), -9)
    assert world.numbers_serving() == [1, 2]
    world.wait(1.1)
    assert world.status == 0


def test_a_second_stop_ends_the_drain_delay() -> None:
    world = two_workers(drain_delay_s=50).begin()
    world.ask(Request.STOP)
    assert world.ask(Request.STOP).status == 0
    world = two_workers(drain_delay_s=50).begin()
    assert world.ask(Request.BRUTAL_STOP).status == 0


@pytest.mark.parametrize("dies", [True, False])
def test_the_instance_may_end_with_its_last_worker(dies: bool) -> None:
    world = two_workers(die_on_no_workers=dies).begin()
    world.exit(world.worker(1), -9)
    assert world.status is None  # another one is there
    world.ask(Request.CHEAP)
    assert world.status == (0 if dies else None)
    assert world.has_logged("(no more workers running)") is dies
