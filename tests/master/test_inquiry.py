"""Asking workers, some of which do not answer."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from geuwsgi.master.inquiry import Answers, Inquiries
from geuwsgi.master.plan import Role
from geuwsgi.worker.messages import Kind, Message


@dataclass
class Member:
    serial: int
    number: int
    role: Role = Role.WORKER
    is_deaf: bool = False


@dataclass
class Team:
    team: list[Member]
    told: list[tuple[int, object]] = field(default_factory=list)

    def members(self) -> list[Member]:
        return self.team

    def tell(
        self, serial: int, kind: Kind, body: bytes = b"", **fields: object
    ) -> None:
        assert kind is Kind.QUESTION
        self.told.append((serial, fields["question"]))


class Scene:
    def __init__(self, *members: Member) -> None:
        self.now = 100.0
        self.team = Team(list(members))
        self.inquiries = Inquiries(self.team, lambda: self.now)
        self.delivered: list[Answers] = []

    def ask(self) -> None:
        self.inquiries.ask("stats", self.delivered.append, limit_s=0.25)

    def answer(self, member: Member, question: int, what: str) -> None:
        body = f'{{"question": {question}, "what": "{what}"}}'.encode()
        self.inquiries.answered(member, Message(Kind.ANSWER, body))


def test_the_answers_are_delivered_when_all_are_there() -> None:
    one, two = Member(11, 1), Member(12, 2)
    scene = Scene(one, two)
    scene.ask()
    assert scene.team.told == [(11, 1), (12, 1)]
    scene.answer(two, 1, "b")
    assert scene.delivered == []
    scene.answer(one, 1, "a")
    assert scene.delivered == [{1: {"what": "a"}, 2: {"what": "b"}}]
    assert scene.inquiries.next_deadline() == math.inf


def test_who_does_not_answer_in_time_is_left_out() -> None:
    one, two = Member(11, 1), Member(12, 2)
    scene = Scene(one, two)
    scene.ask()
    scene.answer(one, 1, "a")
    assert scene.inquiries.next_deadline() == 100.25
    scene.inquiries.tick(100.2)
    assert scene.delivered == []
    scene.inquiries.tick(100.25)
    assert scene.delivered == [{1: {"what": "a"}}]
    scene.answer(two, 1, "late")
    assert len(scene.delivered) == 1


def test_without_workers_the_answer_comes_at_once() -> None:
    scene = Scene(Member(11, 1, is_deaf=True))
    scene.ask()
    assert scene.delivered == [{}]


def test_of_two_with_one_number_the_younger_counts() -> None:
    old, young = Member(11, 1), Member(12, 1)
    scene = Scene(old, young)
    scene.ask()
    scene.answer(young, 1, "young")
    scene.answer(old, 1, "old")
    assert scene.delivered == [{1: {"what": "young"}}]


def test_questions_do_not_mix() -> None:
    one = Member(11, 1)
    scene = Scene(one)
    scene.ask()
    scene.ask()
    scene.answer(one, 2, "second")
    scene.answer(one, 1, "first")
    assert scene.delivered == [{1: {"what": "second"}}, {1: {"what": "first"}}]
