"""Expressions over the ``uwsgi`` module, and what they give."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

RECORDED = Path(__file__).with_name("recorded")


def parse(text: str) -> list[tuple[str, str]]:
    """Return (expression, answer) for each line, ("", line) for comments."""
    lines = []
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            lines.append(("", line))
        else:
            expression, _, answer = line.partition(" -> ")
            lines.append((expression.strip(), answer))
    return lines


def answer_all(expressions: Sequence[str], functions: Mapping[str, Any]) -> list[str]:
    """Evaluate expressions one after another; an exception's answer is its type."""
    names = {**functions, "time": time}
    answers = []
    for expression in expressions:
        try:
            answers.append(repr(eval(expression, names)))
        except Exception as exc:
            answers.append(type(exc).__name__)
    return answers


def compare(name: str, functions: Mapping[str, Any]) -> list[str]:
    """Return the lines of a recording that ``functions`` answer differently."""
    lines = [line for line in parse((RECORDED / f"{name}.txt").read_text()) if line[0]]
    answers = answer_all([expression for expression, _ in lines], functions)
    return [
        f"{expression} -> {answer}, uWSGI: {recorded}"
        for (expression, recorded), answer in zip(lines, answers, strict=True)
        if answer != recorded
    ]
