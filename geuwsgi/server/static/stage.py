"""The stage that answers with static files before the application is asked.

The order is uWSGI's: ``check-static`` directories, ``static-map``, ``static-map2``,
then DOCUMENT_ROOT; within each the order of declaration. Whatever names no regular
file that may be served goes on to the next entry and in the end to the application:
this stage never answers 404. Only GET and HEAD are looked at.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from geuwsgi.errors import ConfigError
from geuwsgi.server.static.answer import FileAnswer, FileExchange
from geuwsgi.server.static.paths import file_system_path, joined
from geuwsgi.server.static.store import MAX_RECORDS, FileStore, Record, Root

if TYPE_CHECKING:
    from collections.abc import Mapping

# A web server in front may name any directory; a sane one names a few.
MAX_DOCUMENT_ROOTS = 64


class StaticMap:
    """One place to look: a URL prefix and the directory (or file) it stands for."""

    __slots__ = ("keeps_prefix", "prefix", "root")

    def __init__(self, prefix: str, root: Root, *, keeps_prefix: bool) -> None:
        self.prefix = prefix
        self.root = root
        self.keeps_prefix = keeps_prefix

    def path_of(self, path_info: str) -> str | None:
        """The file a path that begins with the prefix names; None if none may.

        A map to a single file names it whatever follows the prefix, as in uWSGI:
        that is how one page is served for all paths of a site.
        """
        if self.root.is_file(time.monotonic()):
            return self.root.path
        rest = path_info if self.keeps_prefix else path_info[len(self.prefix) :]
        return joined(self.root.path, rest)


def parse_static_map(
    value: str, *, keeps_prefix: bool, trust_s: float = 1.0, option: str = ""
) -> StaticMap:
    """Parse ``prefix=directory`` of ``static-map`` or ``static-map2``.

    ``option`` is the name of another option of that form, for the message.
    """
    option = option or ("static-map2" if keeps_prefix else "static-map")
    prefix, equals, path = value.partition("=")
    if not equals or not path:
        raise ConfigError(f"{option} needs prefix=directory: {value!r}")
    # Configurations are UTF-8, PATH_INFO is latin-1 of the bytes.
    prefix = prefix.encode("utf-8", "surrogateescape").decode("latin-1")
    return StaticMap(prefix, Root(path, trust_s=trust_s), keeps_prefix=keeps_prefix)


class StaticFiles:
    """Callable: ``stage(exchange)`` is True if a file was the answer."""

    def __init__(
        self,
        store: FileStore,
        answer: FileAnswer,
        maps: Iterable[StaticMap],
        *,
        index: Iterable[str] = (),
        skip_extensions: Iterable[str] = (),
        use_document_root: bool = False,
    ) -> None:
        self._store = store
        self._answer = answer
        self._maps = tuple(maps)
        self._index = tuple(index)
        self._skip_extensions = tuple(skip_extensions)
        self._use_document_root = use_document_root
        self._document_roots: dict[str, Root] = {}
        #: What PATH_INFO led to, while the record is trusted.
        self._known: dict[str, Record] = {}

    def __call__(self, exchange: FileExchange) -> bool:
        """Answer with the file that the request names, if there is one."""
        environ = exchange.environ
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return False
        path_info: str = environ.get("PATH_INFO", "")
        known = self._known.get(path_info)
        if known is not None:
            if self._answer.send_again(exchange, known):
                return True
            del self._known[path_info]
        return self._look(exchange, path_info)

    def _look(self, exchange: FileExchange, path_info: str) -> bool:
        environ = exchange.environ
        asked = path_info
        if not path_info.isascii():
            path_info = file_system_path(path_info)
        if self._skip_extensions and path_info.endswith(self._skip_extensions):
            return False
        for entry in self._maps:
            if path_info.startswith(entry.prefix):
                path = entry.path_of(path_info)
                if path is not None:
                    record = self.send_path(exchange, path, entry.root)
                    if record is not None:
                        self._remember(asked, record)
                        return True
        if self._use_document_root:
            root = self._document_root(environ)
            if root is not None:
                path = joined(root.path, path_info)
                if path is not None:
                    return self.send_path(exchange, path, root) is not None
        return False

    def _remember(self, path_info: str, record: Record) -> None:
        if len(self._known) >= MAX_RECORDS:
            self._known.clear()
        self._known[path_info] = record

    def send_path(self, exchange: FileExchange, path: str, root: Root) -> Record | None:
        """Answer with the file, or the index of the directory, at ``path``.

        Returns its record; None, and has sent nothing, if there is none below
        ``root``.
        """
        # Twice: the file may be replaced between finding and opening it.
        for _ in range(2):
            record = self.find(path, root)
            if record is None:
                return None
            if self._answer.send(exchange, record):
                return record
        return None

    def find(self, path: str, root: Root) -> Record | None:
        """The file at ``path``, or the index file if it is a directory."""
        record = self._store.find(path, root)
        if record is None and self._index:
            for name in self._index:
                index = joined(path, name)
                if index is not None:
                    record = self._store.find(index, root)
                    if record is not None:
                        break
        return record

    def _document_root(self, environ: Mapping[str, object]) -> Root | None:
        directory = environ.get("DOCUMENT_ROOT")
        if not directory:
            return None
        directory = str(directory)
        root = self._document_roots.get(directory)
        if root is None:
            if len(self._document_roots) >= MAX_DOCUMENT_ROOTS:
                self._document_roots.clear()
            root = Root(file_system_path(directory))
            self._document_roots[directory] = root
        return root
