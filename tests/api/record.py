"""Record what the real uWSGI answers: ``record.py NAME [uwsgi option …]``.

Reads the expressions of ``recorded/NAME.txt`` – what stands before `` -> `` – has the
``uwsgi`` program found on the path evaluate them one after another in one process, and
writes the answers behind them. Lines that begin with ``#`` stay. The tests compare
geuwsgi's answers with the recorded ones (:mod:`tests.api.answers`).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

RECORDED = Path(__file__).with_name("recorded")


def evaluate() -> None:
    """Run inside uWSGI: evaluate the file's lines and write the answers to it."""
    from tests.api.answers import answer_all, parse

    path = Path(os.environ["RECORD_FILE"])
    import uwsgi  # type: ignore[import-untyped,unused-ignore]

    lines = parse(path.read_text())
    answers = iter(answer_all([text for text, _ in lines if text], vars(uwsgi)))
    path.write_text(
        "".join(
            f"{text} -> {next(answers)}\n" if text else f"{comment}\n"
            for text, comment in lines
        )
    )
    os._exit(0)


def main() -> None:
    name, options = sys.argv[1], sys.argv[2:]
    path = RECORDED / f"{name}.txt"
    root = Path(__file__).resolve().parents[2]
    program = ["uwsgi", "--master", "--socket", "127.0.0.1:0", *options]
    program += ["--pythonpath", str(root), "--module", "tests.api.record:evaluate()"]
    subprocess.run(
        program,
        env={**os.environ, "RECORD_FILE": str(path)},
        check=False,
        timeout=60,
    )
    print(path.read_text())


if __name__ == "__main__":
    main()
