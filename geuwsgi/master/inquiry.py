"""Asking all workers something, and taking the answers that come in time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from geuwsgi.master.plan import Role
from geuwsgi.worker.messages import Kind, Message

LIMIT_S = 0.25

Answers = Mapping[int, Mapping[str, Any]]
Deliver = Callable[[Answers], None]


class Asked(Protocol):
    """A member that may be asked."""

    @property
    def serial(self) -> int: ...
    @property
    def role(self) -> Role: ...
    @property
    def number(self) -> int: ...
    @property
    def is_deaf(self) -> bool: ...


class Crew(Protocol):
    """Who is asked, and how."""

    def members(self) -> Iterable[Asked]: ...
    def tell(
        self, serial: int, kind: Kind, body: bytes = b"", **fields: object
    ) -> None: ...


@dataclass(slots=True)
class _Open:
    deliver: Deliver
    deadline: float
    waiting: dict[int, int]  # worker ids by serial
    answers: dict[int, Mapping[str, Any]] = field(default_factory=dict)


class Inquiries:
    """The questions that are open."""

    def __init__(self, crew: Crew, clock: Callable[[], float]) -> None:
        self._crew = crew
        self._clock = clock
        self._numbers = itertools.count(1)
        self._open: dict[int, _Open] = {}

    def ask(self, name: str, deliver: Deliver, *, limit_s: float = LIMIT_S) -> None:
        """Ask every worker ``name``; deliver the answers by worker id, maybe at once.

        While one process replaces another, both have the id; the younger one counts.
        """
        waiting = {
            member.serial: member.number
            for member in self._crew.members()
            if member.role is Role.WORKER and not member.is_deaf
        }
        if not waiting:
            deliver({})
            return
        number = next(self._numbers)
        self._open[number] = _Open(deliver, self._clock() + limit_s, waiting)
        for serial in list(waiting):
            self._crew.tell(serial, Kind.QUESTION, question=number, name=name)

    def answered(self, member: Asked, message: Message) -> None:
        """Take the answer of ``member``; one that comes too late is dropped."""
        fields = message.fields()
        number = fields.pop("question", 0)
        inquiry = self._open.get(number)
        if inquiry is None or member.serial not in inquiry.waiting:
            return
        inquiry.answers[member.serial] = fields
        if len(inquiry.answers) == len(inquiry.waiting):
            self._end(number)

    def next_deadline(self) -> float:
        """When `tick` is due; infinity if nothing is open."""
        return min((one.deadline for one in self._open.values()), default=math.inf)

    def tick(self, now: float) -> None:
        """Deliver what there is of the inquiries whose time is over."""
        for number, inquiry in list(self._open.items()):
            if now >= inquiry.deadline:
                self._end(number)

    def _end(self, number: int) -> None:
        inquiry = self._open.pop(number)
        inquiry.deliver(
            {
                inquiry.waiting[serial]: inquiry.answers[serial]
                for serial in sorted(inquiry.answers)
            }
        )
