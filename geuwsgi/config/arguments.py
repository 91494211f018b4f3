"""Bare words of the command line: what a user means who names no option."""

from __future__ import annotations


def guess_argument(word: str) -> str | None:
    """The option that a bare word of the command line stands for, or None."""
    if word.endswith((".py", ".wsgi")):
        return "wsgi-file"
    head, colon, tail = word.rpartition(":")
    if colon and tail.isdecimal():
        return "http"
    if word.isdecimal():
        return "http"
    if word.endswith((".sock", ".socket")):
        return "http-socket"
    module = (head or word).split(".")
    if all(part.isidentifier() for part in module) and (not colon or tail):
        return "module" if colon else None
    return None
