"""The compiled modules, which are optional; all else stands in pyproject.toml.

Without a compiler, or with GEUWSGI_PURE=1 in the environment, the installation has
only the interpreted modules, which do the same.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

#: Modules that stand beside an interpreted one: C loops.
LOOPS = (
    "geuwsgi.cache._reader",
    "geuwsgi.net._plain",
    "geuwsgi.protocol._fields",
    "geuwsgi.protocol._mask",
    "geuwsgi.server._smallstack",
)

#: Modules of which the same source is compiled, with the types of the .pxd beside it.
TYPED = ("geuwsgi.protocol.uwsgi",)

#: The way of a request. These and those of a websocket know the layout of each
#: other's objects, so all of them are compiled or none is; a websocket's know those of
#: a request, too.
PATH = (
    "geuwsgi.net.clock",
    "geuwsgi.net.server",
    "geuwsgi.net.socketcalls",
    "geuwsgi.net.stream",
    "geuwsgi.protocol.http1",
    "geuwsgi.server.cgiconnection",
    "geuwsgi.server.connection",
    "geuwsgi.server.context",
    "geuwsgi.server.cores",
    "geuwsgi.server.exchange",
    "geuwsgi.server.greenlets",
    "geuwsgi.server.httpconnection",
    "geuwsgi.server.site",
    "geuwsgi.server.tally",
    "geuwsgi.server.uwsgiconnection",
    "geuwsgi.worker.endpoint",
    "geuwsgi.wsgi.response",
)
WEBSOCKET = (
    "geuwsgi.protocol.websocket",
    "geuwsgi.server.websocket.outbox",
    "geuwsgi.server.websocket.life",
    "geuwsgi.server.websocket.engine",
    "geuwsgi.server.websocket._quick",
    "geuwsgi.api.websocket",
    "geuwsgi.websocket",
)


class BuildTogether(build_ext):
    """Compile on all processors; of each group all modules or nothing."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()

    def build_extension(self, ext: Any) -> None:
        try:
            super().build_extension(ext)
        except BaseException:
            # What an earlier build left must not pass for this one's.
            self._remove(ext.name)
            raise

    def build_extensions(self) -> None:
        super().build_extensions()
        for group in (PATH, WEBSOCKET):
            needed = {*PATH, *group}
            if not all(os.path.exists(self.get_ext_fullpath(name)) for name in needed):
                for name in group:
                    self._remove(name)
        missing = [
            extension.name
            for extension in self.extensions
            if not os.path.exists(self.get_ext_fullpath(extension.name))
        ]
        if missing:
            self.warn(
                "geuwsgi runs interpreted where nothing could be compiled, and does the"
                f" same, slower: {', '.join(missing)}"
            )

    def _remove(self, name: str) -> None:
        with contextlib.suppress(OSError):
            os.unlink(self.get_ext_fullpath(name))


def _extension(name: str) -> Extension:
    source = name.replace(".", "/")
    suffix = ".pyx" if os.path.exists(source + ".pyx") else ".py"
    # Nobody debugs the C, and its symbols are four fifths of the files.
    return Extension(name, [source + suffix], extra_compile_args=["-g0"])


def extensions() -> list[Extension]:
    """Return what to compile: nothing if that is not wanted or Cython is not there."""
    if os.environ.get("GEUWSGI_PURE"):
        return []
    try:
        from Cython.Build import cythonize
        from Cython.Compiler.Errors import CompileError
    except ImportError:
        return []
    compiled: list[Extension] = []
    for names in (PATH, WEBSOCKET, *((name,) for name in (*LOOPS, *TYPED))):
        try:
            compiled += cythonize(
                [_extension(name) for name in names],
                build_dir="build/cython",
                language_level=3,
                compiler_directives={
                    # Annotations say what is meant, not what is refused: an
                    # application may well pass a subclass of str.
                    "annotation_typing": False,
                    # Methods as those of built-in types, which are called faster.
                    "binding": False,
                },
                quiet=True,
            )
        except CompileError:
            print(f"{', '.join(names)}: interpreted, because of the errors above")
    for extension in compiled:
        extension.optional = True  # cythonize drops it from what it is given
    return compiled


setup(ext_modules=extensions(), cmdclass={"build_ext": BuildTogether})
