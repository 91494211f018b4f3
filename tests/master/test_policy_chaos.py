"""Random lives: whatever happens in whatever order, some things always hold."""

from __future__ import annotations

import random

import pytest

from geuwsgi.master import events as ev
from geuwsgi.master.events import Request
from geuwsgi.master.plan import Plan, Role
from tests.master.world import World

RELOADS = (
    Request.RELOAD,
    Request.BRUTAL_RELOAD,
    Request.CHAIN_RELOAD,
    Request.RELOAD_WORKERS,
    Request.BRUTAL_RELOAD_WORKERS,
)


class Chaos:
    """One instance and a stream of misfortunes drawn from ``seed``."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.size = self.dice.choice((1, 2, 4))
        self.world = World(
            Plan(
                members={Role.WORKER: self.size, Role.MULE: self.dice.choice((0, 1))},
                lazy_apps=self.dice.random() < 0.3,
                max_lifetime_s=self.dice.choice((0, 50)),
            )
        )
        self.world.begin()

    def misfortune(self) -> None:
        world, dice = self.world, self.dice
        dice.choice(
            (
                self.kill_member,
                self.kill_member,
                self.kill_template,
                self.reload,
                self.reload_badly,
                self.retire,
                self.answer,
                self.answer,
                lambda: world.wait(dice.choice((0.1, 1, 5, 70))),
                self.change_mood,
            )
        )()

    def change_mood(self) -> None:
        world, dice = self.world, self.dice
        world.members_start = dice.random() < 0.8
        world.members_get_ready = dice.random() < 0.7
        world.members_drain = dice.random() < 0.7
        loads = dice.random() < 0.7
        world.on_load = lambda n: ev.TemplateLoaded(n, 1) if loads else None

    def kill_member(self) -> None:
        if self.world.alive:
            serial = self.dice.choice(sorted(self.world.alive))
            member = self.world.policy.fleet.member(serial)
            assert member is not None
            self.world.exit(member, self.dice.choice((-9, -11, 1, 17, 30, None)))

    def kill_template(self) -> None:
        if self.world.templates:
            number = self.dice.choice(sorted(self.world.templates))
            self.world.template_exits(number, self.dice.choice((-9, 1, None)))

    def reload(self) -> None:
        self.world.ask(self.dice.choice(RELOADS))

    def reload_badly(self) -> None:
        usual = self.world.on_configure
        self.world.on_configure = lambda n: ev.ConfigurationFailed(n, "wrong")
        self.world.ask(self.dice.choice(RELOADS))
        self.world.on_configure = usual

    def retire(self) -> None:
        if self.world.alive:
            serial = self.dice.choice(sorted(self.world.alive))
            self.world.tell(ev.MemberRetires(serial, "max-requests"))

    def answer(self) -> None:
        """What was started late tells so now."""
        for serial in list(self.world.alive):
            if self.dice.random() < 0.5:
                self.world.tell(ev.MemberStarted(serial, 5000 + serial))
                self.world.tell(ev.MemberReady(serial))
        for number in list(self.world.templates):
            if self.dice.random() < 0.5:
                self.world.tell(ev.TemplateLoaded(number, 1))

    def calm_down(self) -> None:
        """Everything works again; give it time."""
        world = self.world
        world.members_start = world.members_get_ready = world.members_drain = True
        world.on_load = lambda n: ev.TemplateLoaded(n, 1)
        for _ in range(5):
            for number in list(world.templates):
                world.tell(ev.TemplateLoaded(number, 1))
            for serial in list(world.alive):
                world.tell(ev.MemberStarted(serial, 5000 + serial))
                world.tell(ev.MemberReady(serial))
            world.wait(200)


@pytest.mark.parametrize("block", range(10))
def test_after_any_misfortunes_the_instance_is_at_full_strength(block: int) -> None:
    for seed in range(block * 30, block * 30 + 30):
        chaos = Chaos(seed)
        world = chaos.world
        for _ in range(60):
            if world.status is None:
                chaos.misfortune()
        if world.status is not None:
            # Only a first start may fail for good.
            assert not world.alive, seed
            continue
        chaos.calm_down()
        assert sorted(set(world.numbers_serving())) == list(range(1, chaos.size + 1)), (
            seed
        )
        assert len(world.numbers_serving()) == chaos.size, seed
        assert world.building is None, seed
        assert world.policy.fleet.former == [], seed
        assert world.templates == {world.current.number}, seed


@pytest.mark.parametrize("block", range(5))
def test_at_any_moment_a_stop_ends_everything(block: int) -> None:
    for seed in range(1000 + block * 20, 1020 + block * 20):
        chaos = Chaos(seed)
        world = chaos.world
        for _ in range(chaos.dice.randrange(40)):
            if world.status is None:
                chaos.misfortune()
        if world.status is None:
            world.ask(chaos.dice.choice((Request.STOP, Request.BRUTAL_STOP)))
            world.wait(100)
        assert world.status is not None, seed
        assert not world.alive, seed
        assert not world.templates, seed


def test_a_template_that_is_not_loaded_forks_nobody() -> None:
    # The World asserts it at each fork; here a first start that never ends.
    world = World(Plan(members={Role.WORKER: 3}))
    world.on_load = lambda n: None
    world.begin().wait(1000)
    assert world.count(ev.Fork) == 0
