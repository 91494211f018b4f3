"""HTTP/1.1 request heads and the framing they announce (RFC 9110, RFC 9112).

The head of a request decides where its body ends, and every server on the way must
agree on it. Where the grammar leaves room for two readings this module refuses the
request; it never repairs one. What is refused, and why it matters:

===============================  ====================================================
bare CR, bare LF, NUL, controls  line and field boundaries differ between parsers
obs-fold, space before ``:``     the field is attributed to another name by others
Content-Length with sign, list,  lengths differ between parsers: request smuggling
blank, twice, beside chunked
Transfer-Encoding but chunked    the end of the body is unknown
``Content_Length`` and the like  becomes the same WSGI variable as the real field
two Hosts, no Host, bad Host     routing and caching keys differ
versions other than 1.0, 1.1     framing rules are those of another protocol
===============================  ====================================================

A parser costs a request what it must: one scan for forbidden bytes, one split into
lines, and one dictionary access a field, because names repeat from request to
request and are validated once. It knows no sockets, no clock and no settings.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from geuwsgi.errors import RemoteProtocolError

try:
    from geuwsgi.protocol._fields import FieldReader
except ImportError:
    # Nothing was compiled where this was installed.
    FieldReader = None  # type: ignore[assignment,misc]

#: What the head says about the connection, as bits of ``RequestHead.flags``.
KEEP_ALIVE = 1
EXPECT_CONTINUE = 2
UPGRADE = 4
HTTP_1_0 = 8

#: ``content_length`` of a request whose body is chunked.
CHUNKED = -1

_ALLOWED_BYTES = bytes(
    [0x09, 0x0A, 0x0D, *range(0x20, 0x7F), *range(0x80, 0x100)],
)
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_HOST = re.compile(
    r"(?:\[[0-9A-Fa-f:.]+(?:%25[\w.~-]+)?\]|[A-Za-z0-9._~!$&'()*+,;=%-]*)(?::[0-9]*)?\Z",
    re.ASCII,
)
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)(.*)\Z", re.DOTALL)
_VERSION = re.compile(r"HTTP/[0-9]\.[0-9]\Z")

#: Names that decide framing or routing. As WSGI variables they could be set by
#: their spelling with underscores, so that spelling is refused, not dropped.
_CRITICAL = frozenset({"content-length", "transfer-encoding", "host"})

#: Keys whose values many requests share and that name no person or session.
_STEADY = frozenset(
    [
        "CONTENT_TYPE",
        "HTTP_ACCEPT",
        "HTTP_ACCEPT_ENCODING",
        "HTTP_ACCEPT_LANGUAGE",
        "HTTP_CACHE_CONTROL",
        "HTTP_CONNECTION",
        "HTTP_DNT",
        "HTTP_HOST",
        "HTTP_ORIGIN",
        "HTTP_PRAGMA",
        "HTTP_PRIORITY",
        "HTTP_SEC_CH_UA",
        "HTTP_SEC_CH_UA_MOBILE",
        "HTTP_SEC_CH_UA_PLATFORM",
        "HTTP_SEC_FETCH_DEST",
        "HTTP_SEC_FETCH_MODE",
        "HTTP_SEC_FETCH_SITE",
        "HTTP_SEC_FETCH_USER",
        "HTTP_TE",
        "HTTP_UPGRADE_INSECURE_REQUESTS",
        "HTTP_USER_AGENT",
        "HTTP_X_FORWARDED_PROTO",
        "HTTP_X_REQUESTED_WITH",
    ]
)

_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE")
_CACHE_LIMIT = 2048
#: Longer lines are not remembered: 2048 of them would be much memory.
_KNOWN_LINE = 256


class HeadParser:
    """Parses request heads into WSGI environ dictionaries.

    One parser serves all connections of a worker: it remembers names of fields,
    methods and hosts that it has validated, up to a bound.

    ``max_fields`` bounds the number of fields; more are refused with 431.
    """

    __slots__ = (
        "_connections",
        "_hosts",
        "_keys",
        "_lines",
        "_max_fields",
        "_methods",
        "_reader",
    )

    def __init__(self, *, max_fields: int = 256) -> None:
        self._max_fields = max_fields
        self._reader = FieldReader() if FieldReader is not None else None
        # Lines that many clients send alike → WSGI key and value: saves parsing them,
        # and environs share the strings (a held long poll has 1 KiB less).
        self._lines: dict[str, tuple[str, str]] = {}
        # Field name as it stands on the wire → WSGI key; "" means: drop the field.
        self._keys: dict[str, str] = {}
        self._methods = set(_METHODS)
        self._hosts: set[str] = set()
        self._connections: dict[str, int] = {"keep-alive": 1, "close": 2, "Upgrade": 4}

    def parse(self, head: bytes, environ: dict[str, object]) -> tuple[int, int]:
        """Add what ``head`` says to ``environ``; return length and flags.

        ``head`` is the request line and the fields, without the empty line that
        ends them. ``environ`` must not yet hold any ``HTTP_`` or ``CONTENT_`` key.

        The first result is the length of the body in bytes, or ``CHUNKED``; the
        second is a sum of ``KEEP_ALIVE``, ``EXPECT_CONTINUE``, ``UPGRADE`` and
        ``HTTP_1_0``. ``HTTP_TRANSFER_ENCODING`` is removed: the body that the
        application reads has no encoding left.

        Raises RemoteProtocolError with the status to answer.
        """
        unknown = False
        reader = self._reader
        line_end = -1 if reader is None else head.find(b"\r\n")
        if line_end >= 0:
            assert reader is not None
            flags = 0
            if not reader.read_line(head, line_end, environ):
                flags = self._read_line(head[:line_end], environ)
            done = reader.read(head, line_end + 2, environ, self._max_fields)
            if done > 0:
                return self._framing(environ, flags)
            unknown = done < 0
        text = self._decode(head)
        lines = text.split("\r\n")
        fields = len(lines) - 1
        if text.count("\n") != fields or text.count("\r") != fields:
            raise RemoteProtocolError("bare CR or LF in the request head")
        if fields > self._max_fields:
            raise RemoteProtocolError(
                f"{fields} header fields, more than {self._max_fields}", 431
            )
        flags = self._parse_request_line(lines[0], environ)
        known = self._lines
        keys = self._keys
        expected = len(environ) + fields
        del lines[0]
        for line in lines:
            pair = known.get(line)
            if pair is not None:
                environ[pair[0]] = pair[1]
                continue
            name, colon, value = line.partition(":")
            if not colon:
                raise RemoteProtocolError(f"header field without a colon: {line!r}")
            key = keys.get(name)
            if key is None:
                key = self._learn_name(name)
            if key:
                environ[key] = value = value.strip(" \t")
                if key in _STEADY and len(line) <= _KNOWN_LINE:
                    if len(known) >= _CACHE_LIMIT:
                        # Junk must not stop it from learning for ever.
                        known.clear()
                    known[line] = key, value
            else:
                expected -= 1
        if len(environ) != expected:
            self._join_repeated(lines, environ)
        if unknown:
            self._teach(lines)
        return self._framing(environ, flags)

    def _teach(self, lines: list[str]) -> None:
        """Teach the compiled reader the names in these lines, which are valid."""
        assert self._reader is not None
        for line in lines:
            name = line.partition(":")[0]
            key = self._keys.get(name)
            if key is not None:
                self._reader.learn(name.encode("latin-1"), key, key in _STEADY)

    def parse_line(self, line: bytes, environ: dict[str, object]) -> bool:
        """Add what a request line says to ``environ``, which has the fields.

        For a request whose fields are, byte for byte, those of the one before it on
        the connection: what they say is known. False, with ``environ`` to be thrown
        away, if the fields must be read again for this line: they mean something
        else under HTTP/1.0 or beside an absolute-form target. Raises as ``parse``.
        """
        reader = self._reader
        if reader is not None and reader.read_line(line, len(line), environ):
            return True
        flags = self._read_line(line, environ)
        return not flags and "geuwsgi.authority" not in environ

    def _read_line(self, line: bytes, environ: dict[str, object]) -> int:
        text = self._decode(line)
        if "\n" in text or "\r" in text:
            raise RemoteProtocolError("bare CR or LF in the request head")
        return self._parse_request_line(text, environ)

    @staticmethod
    def _decode(octets: bytes) -> str:
        if octets.translate(None, _ALLOWED_BYTES):
            raise RemoteProtocolError("control character in the request head")
        return octets.decode("latin-1")

    def _parse_request_line(self, line: str, environ: dict[str, object]) -> int:
        try:
            method, target, version = line.split(" ")
        except ValueError:
            raise RemoteProtocolError(f"malformed request line: {line!r}") from None
        if version == "HTTP/1.1":
            flags = 0
        elif version == "HTTP/1.0":
            flags = HTTP_1_0
        elif _VERSION.match(version):
            raise RemoteProtocolError(f"unsupported version: {version!r}", 505)
        else:
            raise RemoteProtocolError(f"malformed version: {version!r}")
        if method not in self._methods:
            if not _TOKEN.match(method):
                raise RemoteProtocolError(f"malformed method: {method!r}")
            if method == "CONNECT":
                raise RemoteProtocolError("method CONNECT is not implemented", 501)
            if len(self._methods) < 64:
                self._methods.add(method)
        environ["REQUEST_METHOD"] = method
        environ["REQUEST_URI"] = target
        environ["SERVER_PROTOCOL"] = version
        if target[:1] != "/":
            target = self._other_target_form(method, target, environ)
        path, _, query = target.partition("?")
        environ["QUERY_STRING"] = query
        if "#" in target or "\t" in target:
            what = "fragment" if "#" in target else "tab"
            raise RemoteProtocolError(f"{what} in the request target: {target!r}")
        if "/." in path:
            path = remove_dot_segments(path)
        if "%" in path:
            path = decode_path(path)
        environ["PATH_INFO"] = path
        return flags

    def _other_target_form(
        self, method: str, target: str, environ: dict[str, object]
    ) -> str:
        """Return the path and query of an absolute-form or ``*`` target.

        RFC 9112 §3.2.2: the authority of an absolute-form target replaces the Host
        field, whatever that says; it is compared in ``_framing``.
        """
        if target == "*":
            if method != "OPTIONS":
                raise RemoteProtocolError(f"target '*' with method {method!r}")
            return ""  # PEP 3333: a path begins with a slash or is empty.
        match = _ABSOLUTE.match(target)
        if match is None or target[:4].lower() != "http":
            raise RemoteProtocolError(f"malformed request target: {target!r}")
        authority, rest = match.groups()
        if not authority or "@" in authority or not _HOST.match(authority):
            raise RemoteProtocolError(f"malformed authority: {authority!r}")
        environ["geuwsgi.authority"] = authority
        if not rest or rest[0] == "?":
            rest = "/" + rest
        return rest

    def _learn_name(self, name: str) -> str:
        """Validate a field name; return its WSGI key, "" to drop the field.

        Names with underscores are dropped, as nginx and others do: they would set
        the same variable as the name with dashes, which front servers check.
        """
        if not _TOKEN.match(name):
            raise RemoteProtocolError(f"malformed header field name: {name!r}")
        lowered = name.lower()
        if "_" in name:
            if lowered.replace("_", "-") in _CRITICAL:
                raise RemoteProtocolError(f"header field name in disguise: {name!r}")
            key = ""
        elif lowered == "content-type":
            key = "CONTENT_TYPE"
        elif lowered == "content-length":
            key = "CONTENT_LENGTH"
        elif lowered == "proxy":
            key = ""  # HTTP_PROXY would steer outgoing requests (CVE-2016-5385).
        else:
            key = "HTTP_" + name.upper().replace("-", "_")
        if len(self._keys) < _CACHE_LIMIT:
            self._keys[name] = key
        return key

    def _join_repeated(self, lines: list[str], environ: dict[str, object]) -> None:
        """Join repeated fields as RFC 9110 §5.3 has it, or refuse them."""
        joined: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            key = self._keys.get(name)
            if key is None:
                key = self._learn_name(name)
            if not key:
                continue
            value = value.strip(" \t")
            if key not in joined:
                joined[key] = value
            elif key in ("CONTENT_LENGTH", "HTTP_HOST", "CONTENT_TYPE"):
                raise RemoteProtocolError(f"header field given twice: {name!r}")
            else:
                joined[key] += ("; " if key == "HTTP_COOKIE" else ", ") + value
        environ.update(joined)

    def _framing(self, environ: dict[str, object], flags: int) -> tuple[int, int]:
        host = environ.get("HTTP_HOST")
        if host is None:
            if not flags & HTTP_1_0:
                raise RemoteProtocolError("request without a Host header field")
        elif host not in self._hosts:
            assert type(host) is str
            if not _HOST.match(host):
                raise RemoteProtocolError(f"malformed Host: {host!r}")
            if len(self._hosts) < _CACHE_LIMIT:
                self._hosts.add(host)
        authority = environ.pop("geuwsgi.authority", None)
        if authority is not None:
            environ["HTTP_HOST"] = authority
        length = 0
        coding = environ.pop("HTTP_TRANSFER_ENCODING", None)
        given = environ.get("CONTENT_LENGTH")
        if coding is not None:
            length = self._chunked(str(coding), given, flags)
        elif given is not None:
            length = parse_content_length(str(given))
        connection = environ.get("HTTP_CONNECTION")
        if connection is None:
            if not flags & HTTP_1_0:
                flags |= KEEP_ALIVE
        else:
            bits = self._connections.get(connection)  # type: ignore[call-overload]
            if bits is None:
                bits = self._learn_connection(str(connection))
            if bits & 2:
                pass
            elif not flags & HTTP_1_0 or bits & 1:
                flags |= KEEP_ALIVE
            if bits & 4 and "HTTP_UPGRADE" in environ and not flags & HTTP_1_0:
                flags |= UPGRADE
        expect = environ.get("HTTP_EXPECT")
        if expect is not None:
            if str(expect).lower() != "100-continue":
                raise RemoteProtocolError(f"unknown expectation: {expect!r}", 417)
            if not flags & HTTP_1_0:
                flags |= EXPECT_CONTINUE
        return length, flags

    @staticmethod
    def _chunked(coding: str, given: object, flags: int) -> int:
        # RFC 9112 §6.1, §6.3: any of these lets two servers disagree about the end.
        if given is not None:
            raise RemoteProtocolError("Transfer-Encoding beside Content-Length")
        if flags & HTTP_1_0:
            raise RemoteProtocolError("Transfer-Encoding in an HTTP/1.0 request")
        if coding.lower() != "chunked":
            status = 501 if _is_coding_list(coding) else 400
            raise RemoteProtocolError(f"unknown Transfer-Encoding: {coding!r}", status)
        return CHUNKED

    def _learn_connection(self, value: str) -> int:
        """Return 1 for keep-alive, 2 for close, 4 for upgrade, added up."""
        bits = 0
        for option in value.lower().split(","):
            option = option.strip(" \t")
            if option == "close":
                bits |= 2
            elif option == "keep-alive":
                bits |= 1
            elif option == "upgrade":
                bits |= 4
        if len(self._connections) < 256:
            self._connections[value] = bits
        return bits


def _is_coding_list(coding: str) -> bool:
    """Whether the codings are well formed, known or not, and chunked is last."""
    names = [name.strip(" \t") for name in coding.split(",")]
    return (
        all(_TOKEN.match(name) for name in names)
        and names[-1].lower() == "chunked"
        and [name.lower() for name in names].count("chunked") == 1
    )


def parse_content_length(value: str) -> int:
    """Return the number in a Content-Length (RFC 9110 §8.6).

    Only digits count: no sign, no blank, no list. Raises RemoteProtocolError.
    """
    # isdigit() alone is true for superscript digits of latin-1.
    if not value.isdigit() or not value.isascii() or len(value) > 18:
        raise RemoteProtocolError(f"malformed Content-Length: {value!r}")
    return int(value)


def decode_path(path: str) -> str:
    """Undo percent-encoding; the result is latin-1 in a str, as PEP 3333 has it.

    Raises RemoteProtocolError for an escape that is not two hexadecimal digits,
    and for an encoded NUL, which ends a file name in every C library.
    """
    if _BAD_ESCAPE.search(path):
        raise RemoteProtocolError(f"malformed percent-encoding: {path!r}")
    decoded = unquote_to_bytes(path.encode("latin-1")).decode("latin-1")
    if "\0" in decoded:
        raise RemoteProtocolError(f"encoded NUL in the path: {path!r}")
    return decoded


def remove_dot_segments(path: str) -> str:
    """Resolve ``.`` and ``..`` segments (RFC 3986 §5.2.4).

    Done before percent-decoding, as uWSGI does, so an encoded dot stays what the
    client wrote. A ``..`` above the root is dropped.
    """
    kept: list[str] = []
    segments = path.split("/")
    for segment in segments[1:]:
        if segment == "..":
            if kept:
                kept.pop()
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)
