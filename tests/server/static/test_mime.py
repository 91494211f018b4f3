"""Media types by file name."""

from __future__ import annotations

from geuwsgi.server.static.mime import MimeTable, built_in_types

TABLE = """
# a comment
text/html   html htm  # two extensions
application/octet-stream
image/x-none
font/woff2\twoff2
"""


def test_extensions_of_a_file_are_known() -> None:
    table = MimeTable.from_texts([TABLE])
    assert table.type_of("/srv/a/index.html") == "text/html"
    assert table.type_of("index.HTM") == "text/html"
    assert table.type_of("x.woff2") == "font/woff2"


def test_an_unknown_extension_has_no_type() -> None:
    table = MimeTable.from_texts([TABLE])
    assert table.type_of("a.unheard-of") is None
    assert table.type_of("Makefile") is None
    assert table.type_of("/srv/v1.html/Makefile") is None


def test_a_later_file_overrules_an_earlier_one() -> None:
    table = MimeTable.from_texts([TABLE, "application/xhtml+xml html"])
    assert table.type_of("a.html") == "application/xhtml+xml"
    assert table.type_of("a.htm") == "text/html"


def test_without_files_the_built_in_types_are_used() -> None:
    table = MimeTable.from_texts([])
    assert table.type_of("a.css") == "text/css"
    assert table.type_of("a.mjs") == "text/javascript"
    assert built_in_types()["wasm"] == "application/wasm"
