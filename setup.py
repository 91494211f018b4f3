"""The compiled modules, which are optional; all else stands in pyproject.toml.

Without a compiler, or with GEUWSGI_PURE=1 in the environment, the installation has
only the interpreted modules, which do the same.
"""

from __future__ import annotations

import os

from setuptools import Extension, setup

#: Modules that stand beside an interpreted one: C loops.
LOOPS = (
    "geuwsgi.cache._reader",
    "geuwsgi.protocol._fields",
    "geuwsgi.protocol._mask",
)

#: Modules of which the same source is compiled, with the types of the .pxd beside it.
TYPED = (
    "geuwsgi.protocol.uwsgi",
    "geuwsgi.protocol.websocket",
    "geuwsgi.server.websocket.outbox",
    "geuwsgi.server.websocket.life",
    "geuwsgi.server.websocket.engine",
)


def _extension(name: str, suffix: str) -> Extension:
    source = name.replace(".", "/") + suffix
    return Extension(name, [source])


def extensions() -> list[Extension]:
    """Return what to compile: nothing if that is not wanted or Cython is not there."""
    if os.environ.get("GEUWSGI_PURE"):
        return []
    try:
        from Cython.Build import cythonize
        from Cython.Compiler.Errors import CompileError
    except ImportError:
        return []
    wanted = [
        *(_extension(name, ".pyx") for name in LOOPS),
        *(_extension(name, ".py") for name in TYPED),
    ]
    compiled: list[Extension] = []
    for extension in wanted:
        try:
            compiled += cythonize(
                [extension],
                build_dir="build/cython",
                language_level=3,
                # Annotations say what is meant, not what is refused: an application
                # may well pass a subclass of str.
                compiler_directives={"annotation_typing": False},
                quiet=True,
            )
        except CompileError:
            print(f"{extension.name} stays interpreted: see the errors above")
    for extension in compiled:
        extension.optional = True  # cythonize drops it from what it is given
    return compiled


setup(ext_modules=extensions())
