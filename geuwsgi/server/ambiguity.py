"""How long a regular expression may take: a check when the configuration is read.

Python's ``re`` tries one way after the other. A pattern that can match the same text
in many ways makes it try them all before it gives up, and a client chooses the text:
``(a+)+$`` needs 2ⁿ steps for n letters. The number of ways is a property of the
pattern alone (Weber and Seidl, *On the degree of ambiguity of finite automata*), so it
is decided here once, instead of being measured with an attacker's clock.

The pattern becomes an automaton without empty moves (Glushkov's): one state for each
character of the pattern, an edge for each pair that may follow each other, with how
many ways lead along it. Then:

- *exponential*: a state from which two different paths over the same text lead back;
- *polynomial*: a state with a loop, and another with a loop over the same text to
  which that text also leads (``.*x.*y``). A search that may begin anywhere is such a
  loop before the pattern;
- *linear*: neither.

Loops after which nothing can fail any more are left out: nobody goes back into them.
What cannot be seen through (backreferences) counts as matching anything. Repetitions
with a large maximum count as having none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any

# The parser's result is the one thing that knows Python's syntax as Python does.
_parser: Any = import_module("re._parser" if hasattr(re, "_parser") else "sre_parse")

_ANY = (1 << 256) - 1
_NEWLINE = 1 << 10
#: What only the end of the text is: a state for ``$`` consumes this.
_END = 1 << 256
_MANY = 8
_MAX_STATES = 400
_MAX_PAIRS = 200_000


#: What ``degree_of`` says of a pattern without a polynomial bound.
EXPONENTIAL = 0
#: What it says of a pattern that is too large to decide.
_UNDECIDED = 3


def degree_of(pattern: re.Pattern[str]) -> int:
    """How a failing ``pattern.search`` grows with the length n of the text.

    1 is linear, k means up to nᵏ/k! steps, EXPONENTIAL means no such bound.
    """
    try:
        tree = _parser.parse(pattern.pattern, pattern.flags & ~re.DEBUG)
        automaton = _Automaton()
        automaton.build(tree, pattern.flags)
        return automaton.degree()
    except _TooLarge:
        return _UNDECIDED


class _TooLarge(Exception):
    pass


Ways = dict[int, int]
"""States, and in how many ways each is reached; 2 stands for more."""


class _Part:
    """A piece of the pattern: where it begins and ends, and the ways around it."""

    __slots__ = ("empty", "first", "last")

    def __init__(self, empty: int, first: Ways, last: Ways) -> None:
        self.empty = empty
        self.first = first
        self.last = last


class _Automaton:
    def __init__(self) -> None:
        self.letters: list[int] = []
        self.follow: list[Ways] = []
        self._accepting: set[int] = set()

    # Building

    def build(self, tree: Any, flags: int) -> None:
        whole = self._sequence(tree, flags)
        if not _is_anchored(tree, flags):
            begin = self._state(_ANY)
            self._loop(begin)
            whole = self._after(begin, whole)
        self._accepting = set(whole.last)

    def _state(self, letters: int) -> _Part:
        number = len(self.letters)
        if number >= _MAX_STATES:
            raise _TooLarge
        self.letters.append(letters)
        self.follow.append({})
        return _Part(0, {number: 1}, {number: 1})

    def _connect(self, sources: Ways, targets: Ways) -> None:
        for source, ways_out in sources.items():
            edges = self.follow[source]
            for target, ways_in in targets.items():
                edges[target] = min(2, edges.get(target, 0) + ways_out * ways_in)

    def _after(self, left: _Part, right: _Part) -> _Part:
        self._connect(left.last, right.first)
        first = _sum(left.first, right.first, left.empty)
        last = _sum(right.last, left.last, right.empty)
        return _Part(min(2, left.empty * right.empty), first, last)

    def _loop(self, part: _Part) -> None:
        self._connect(part.last, part.first)
        part.empty = max(1, part.empty)

    def _sequence(self, tree: Any, flags: int) -> _Part:
        whole = _Part(1, {}, {})
        for operation, argument in tree:
            whole = self._after(whole, self._one(str(operation), argument, flags))
        return whole

    def _one(self, operation: str, argument: Any, flags: int) -> _Part:
        if operation in ("LITERAL", "NOT_LITERAL", "ANY", "IN"):
            return self._state(_letters(operation, argument, flags))
        if operation == "SUBPATTERN":
            _, added, removed, tree = argument
            return self._sequence(tree, (flags | added) & ~removed)
        if operation == "BRANCH":
            return self._branches(argument[1], flags)
        if operation in ("MAX_REPEAT", "MIN_REPEAT"):
            least, most, body = argument
            return self._repeat(int(least), int(most), body, flags)
        if operation in ("POSSESSIVE_REPEAT", "ATOMIC_GROUP"):
            # Nobody goes back into it: seen from outside it is one step.
            tree = argument[-1] if operation == "POSSESSIVE_REPEAT" else argument
            return self._state(_union_of(tree, flags))
        if operation == "AT":
            # What can fail without consuming: the end, and word boundaries.
            return self._anchor(str(argument))
        if operation in ("ASSERT", "ASSERT_NOT"):
            inner = _Automaton()
            inner.build(argument[1], flags)
            if inner.degree() != 1:
                raise _TooLarge
            return _Part(1, {}, {})
        if operation == "GROUPREF_EXISTS":
            _, yes, no = argument
            return self._branches([yes, no or []], flags)
        return self._anything(_ANY)

    def _branches(self, trees: Iterable[Any], flags: int) -> _Part:
        whole = _Part(0, {}, {})
        for tree in trees:
            part = self._sequence(tree, flags)
            whole = _Part(
                min(2, whole.empty + part.empty),
                _sum(whole.first, part.first, 1),
                _sum(whole.last, part.last, 1),
            )
        return whole

    def _repeat(self, least: int, most: int, tree: Any, flags: int) -> _Part:
        whole = _Part(1, {}, {})
        for _ in range(min(least, _MANY)):
            whole = self._after(whole, self._sequence(tree, flags))
        if most == least <= _MANY:
            return whole
        if most > _MANY:
            part = self._sequence(tree, flags)
            if part.empty and most != int(_parser.MAXREPEAT):
                # (a?){50}: which of the fifty are empty can be chosen.
                self._connect(part.last, part.first)
            self._loop(part)
            return self._after(whole, part)
        tail = _Part(1, {}, {})
        for _ in range(most - least):
            tail = _optional(self._after(self._sequence(tree, flags), tail))
        return self._after(whole, tail)

    def _anything(self, letters: int) -> _Part:
        part = self._state(letters)
        self._loop(part)
        return part

    def _anchor(self, name: str) -> _Part:
        if name in ("AT_END", "AT_END_STRING"):
            return self._state(_END)
        return _Part(1, {}, {})

    # Deciding

    def degree(self) -> int:
        cycles = self._cycles()
        # Where every state accepts, nothing after it can fail.
        backtracked = {group for group in cycles if not group <= self._accepting}
        if any(self._is_exponential(group) for group in backtracked):
            return EXPONENTIAL
        depth: dict[frozenset[int], int] = {}

        def depth_of(group: frozenset[int]) -> int:
            if group not in depth:
                depth[group] = 0  # groups are ordered: no way leads back here
                depth[group] = 1 + max(
                    (
                        depth_of(other)
                        for other in backtracked
                        if other != group and self._is_polynomial(group, other)
                    ),
                    default=0,
                )
            return depth[group]

        return max(map(depth_of, cycles), default=1)

    def _cycles(self) -> list[frozenset[int]]:
        edges = {state: list(targets) for state, targets in enumerate(self.follow)}
        return [
            frozenset(group)
            for group in _components(edges)
            if len(group) > 1 or next(iter(group)) in self.follow[next(iter(group))]
        ]

    def _is_exponential(self, group: frozenset[int]) -> bool:
        for state in group:
            for target, ways in self.follow[state].items():
                if ways > 1 and target in group:
                    return True
        pairs: dict[tuple[int, int], list[tuple[int, int]]] = {}
        waiting = [(state, state) for state in group]
        while waiting:
            pair = waiting.pop()
            if pair in pairs:
                continue
            if len(pairs) > _MAX_PAIRS:
                raise _TooLarge
            pairs[pair] = [
                (left, right)
                for left in self.follow[pair[0]]
                if left in group
                for right in self.follow[pair[1]]
                if right in group and self.letters[left] & self.letters[right]
            ]
            waiting.extend(pairs[pair])
        return any(
            any(left == right for left, right in component)
            and any(left != right for left, right in component)
            for component in _components(pairs)
        )

    def _is_polynomial(self, one: frozenset[int], other: frozenset[int]) -> bool:
        between = self._reachable_from(one) & self._reaching(other)
        if not between:
            return False
        return any(
            self._meets(start, end, one, between, other)
            for start in one
            for end in other
        )

    def _meets(
        self,
        start: int,
        end: int,
        one: frozenset[int],
        between: frozenset[int],
        other: frozenset[int],
    ) -> bool:
        """Whether one text leads start→start, start→end and end→end."""
        goal = (start, end, end)
        seen = {(start, start, end)}
        waiting = [(start, start, end)]
        while waiting:
            first, middle, last = waiting.pop()
            for new_first in self.follow[first]:
                if new_first not in one:
                    continue
                for new_last in self.follow[last]:
                    both = self.letters[new_first] & self.letters[new_last]
                    if new_last not in other or not both:
                        continue
                    for new_middle in self.follow[middle]:
                        if new_middle not in between or not (
                            both & self.letters[new_middle]
                        ):
                            continue
                        triple = (new_first, new_middle, new_last)
                        if triple == goal:
                            return True
                        if triple not in seen:
                            if len(seen) > _MAX_PAIRS:
                                raise _TooLarge
                            seen.add(triple)
                            waiting.append(triple)
        return False

    def _reachable_from(self, group: frozenset[int]) -> frozenset[int]:
        return _closure(group, lambda state: self.follow[state])

    def _reaching(self, group: frozenset[int]) -> frozenset[int]:
        before: list[list[int]] = [[] for _ in self.follow]
        for state, targets in enumerate(self.follow):
            for target in targets:
                before[target].append(state)
        return _closure(group, lambda state: before[state])


def _closure(group: frozenset[int], edges: Any) -> frozenset[int]:
    seen = set(group)
    waiting = list(group)
    while waiting:
        for target in edges(waiting.pop()):
            if target not in seen:
                seen.add(target)
                waiting.append(target)
    return frozenset(seen)


def _components(edges: dict[Any, list[Any]]) -> Iterator[set[Any]]:
    """The strongly connected components (Tarjan's algorithm, without recursion)."""
    index: dict[Any, int] = {}
    lowest: dict[Any, int] = {}
    on_stack: set[Any] = set()
    stack: list[Any] = []
    for root in edges:
        if root in index:
            continue
        work = [(root, iter(edges[root]))]
        index[root] = lowest[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            node, targets = work[-1]
            for target in targets:
                if target not in index:
                    index[target] = lowest[target] = len(index)
                    stack.append(target)
                    on_stack.add(target)
                    work.append((target, iter(edges[target])))
                    break
                if target in on_stack:
                    lowest[node] = min(lowest[node], index[target])
            else:
                work.pop()
                if work:
                    parent = work[-1][0]
                    lowest[parent] = min(lowest[parent], lowest[node])
                if lowest[node] == index[node]:
                    component = set()
                    while True:
                        member = stack.pop()
                        on_stack.discard(member)
                        component.add(member)
                        if member == node:
                            break
                    yield component


def _sum(left: Ways, right: Ways, times: int) -> Ways:
    if not times:
        return dict(left)
    total = dict(left)
    for state, ways in right.items():
        total[state] = min(2, total.get(state, 0) + ways * times)
    return total


def _optional(part: _Part) -> _Part:
    part.empty = min(2, part.empty + 1)
    return part


def _is_anchored(tree: Any, flags: int) -> bool:
    for operation, argument in tree:
        name = str(operation)
        if name == "AT":
            at = str(argument)
            return at == "AT_BEGINNING_STRING" or (
                at == "AT_BEGINNING" and not flags & re.MULTILINE
            )
        if name == "SUBPATTERN":
            return _is_anchored(argument[3], flags)
        return False
    return False


def _letters(operation: str, argument: Any, flags: int) -> int:
    if operation == "ANY":
        return _ANY if flags & re.DOTALL else _ANY & ~_NEWLINE
    if operation == "LITERAL":
        return _cased(argument, flags)
    if operation == "NOT_LITERAL":
        return _ANY & ~_cased(argument, flags)
    letters = 0
    negated = False
    for kind, value in argument:
        name = str(kind)
        if name == "NEGATE":
            negated = True
        elif name == "LITERAL":
            letters |= _cased(value, flags)
        elif name == "RANGE":
            for code in range(value[0], min(value[1], 255) + 1):
                letters |= _cased(code, flags)
        elif name == "CATEGORY":
            letters |= _category(str(value))
    return _ANY & ~letters if negated else letters


def _cased(code: int, flags: int) -> int:
    if code > 255:
        return 0
    letters = 1 << code
    if flags & re.IGNORECASE:
        for other in (chr(code).lower(), chr(code).upper()):
            if len(other) == 1 and ord(other) < 256:
                letters |= 1 << ord(other)
    return letters


def _category(name: str) -> int:
    shorthand = {"DIGIT": r"\d", "SPACE": r"\s", "WORD": r"\w"}[name.rpartition("_")[2]]
    test = re.compile(shorthand, re.ASCII)
    letters = sum(1 << code for code in range(256) if test.match(chr(code)))
    return _ANY & ~letters if "_NOT_" in name else letters


def _union_of(tree: Any, flags: int) -> int:
    letters = 0
    for operation, argument in tree:
        name = str(operation)
        if name in ("LITERAL", "NOT_LITERAL", "ANY", "IN"):
            letters |= _letters(name, argument, flags)
        else:
            return _ANY
    return letters
