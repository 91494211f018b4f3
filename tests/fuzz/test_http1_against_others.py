"""Requests that are almost right, read by us and by other parsers.

Every request that two of us find must be the same request. Where one finds fewer, the
reason must stand in the table below, with the sentence of the RFC that decides it.

``GEUWSGI_FUZZ_INPUTS`` is how many inputs are tried (`tox -e soak`: millions);
``GEUWSGI_FUZZ_SEED`` chooses others.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geuwsgi.errors import RemoteProtocolError
from geuwsgi.protocol.chunked import ChunkedDecoder
from geuwsgi.protocol.http1 import HeadParser
from tests.fuzz.readings import CLOSED, CUT, ORACLES, REFUSED, Reading, read_ours
from tests.fuzz.requests import chunked_body, near_valid

INPUTS = int(os.environ.get("GEUWSGI_FUZZ_INPUTS", "4000"))
SEED = int(os.environ.get("GEUWSGI_FUZZ_SEED", "1"))

#: What we refuse and others accept: how our reason begins, and the rule.
WE_REFUSE = {
    "Transfer-Encoding beside": "RFC 9112 §6.1: ought to be handled as an error",
    "Transfer-Encoding in an HTTP/1.0": "RFC 9112 §6.1: MUST treat the framing as faulty",
    "unknown Transfer-Encoding": "RFC 9112 §6.1: SHOULD respond with 501; §6.3: 400 and close if chunked is not the last",
    "bare CR or LF": "RFC 9112 §2.2: MAY recognize a single LF; MUST NOT generate a bare CR, and a recipient replaces it or considers it invalid",
    "control character": "RFC 9110 §5.5: CR, LF and NUL MUST be rejected or replaced; other controls are invalid",
    "chunk line not ended": "RFC 9112 §7.1: chunk-size [ chunk-ext ] CRLF",
    "chunk data not followed": "RFC 9112 §7.1: chunk-data CRLF",
    "malformed chunk size": "RFC 9112 §7.1.1: chunk-ext = *( BWS ';' BWS chunk-ext-name … ); §7.1: MUST anticipate large numerals (15 digits are read)",
    "malformed trailer": "RFC 9110 §6.5.1: no field for framing or routing in a trailer; RFC 9112 §5.1: no whitespace before the colon",
    "malformed request line": "RFC 9112 §3: single space; MAY instead parse on whitespace-delimited boundaries, at the risk it names",
    "malformed request target": "RFC 9112 §3.2: origin-form, absolute-form, asterisk-form",
    "malformed method": "RFC 9110 §9.1: method = token",
    "malformed version": "RFC 9112 §2.3: HTTP-version is case-sensitive, DIGIT '.' DIGIT",
    "unsupported version": "RFC 9110 §15.6.6: 505 for a version that is not supported",
    "malformed header field name": "RFC 9112 §5.1: MUST reject whitespace between name and colon with 400; name = token",
    "header field without a colon": "RFC 9112 §5: field-line = field-name ':' OWS field-value OWS",
    "header field given twice": "RFC 9112 §3.2: MUST respond 400 to more than one Host; RFC 9110 §8.6: MUST reject or replace a repeated Content-Length",
    "header field name in disguise": "PEP 3333: would set the variable of the field with dashes",
    "malformed Content-Length": "RFC 9110 §8.6: 1*DIGIT; a list of equal values MAY be rejected",
    "malformed Host": "RFC 9112 §3.2: MUST respond 400 to an invalid Host",
    "request without a Host": "RFC 9112 §3.2: MUST respond 400 to an HTTP/1.1 request without Host",
    "malformed authority": "RFC 9110 §4.2.4: userinfo is an error; RFC 3986 §3.2: authority",
    "fragment in": "RFC 9112 §3.2.1: origin-form has no fragment",
    "tab in": "RFC 9112 §3.2: no whitespace is allowed in the request-target; 400",
    "target '*'": "RFC 9112 §3.2.4: asterisk-form is for OPTIONS only",
    "method CONNECT": "RFC 9110 §9.3.6: for proxies; §15.6.2: 501",
    "malformed percent-encoding": "RFC 3986 §2.1: pct-encoded = '%' HEXDIG HEXDIG",
    "encoded NUL": "RFC 3986 §7.3: a decoded NUL is a threat to what uses the path",
    "unknown expectation": "RFC 9110 §10.1.1: MAY respond 417 to an unknown expectation",
}  # fmt: skip


@dataclass(frozen=True)
class Accepted:
    """What we accept and ``oracle`` does not, by its reason and the bytes."""

    oracle: str
    why: str
    octets: bytes
    rule: str


_ANY = b""
WE_ACCEPT = [
    Accepted("llhttp", "Invalid method|Expected space after", _ANY, "RFC 9110 §9.1: any token is a method; llhttp knows a list"),
    Accepted("llhttp", "Expected HTTP/2", rb"PRI ", "RFC 9113 §3.4: the preface is PRI * HTTP/2.0, which we refuse; with HTTP/1.1 it is a token"),
    Accepted("llhttp", "Invalid char in url", rb"[\x80-\xff]", "RFC 3986 §2: ASCII only; kept because browsers and curl send IRIs unescaped and uWSGI serves them"),
    Accepted("h11", "illegal request line", rb"[\x80-\xff]", "as above"),
    Accepted("llhttp", "Invalid character in chunk", rb"[ \t][;=]|[;=][ \t]", "RFC 9112 §7.1.1: MUST parse bad whitespace around chunk extensions and remove it"),
    Accepted("llhttp", "Request has invalid `Transfer-Encoding`", rb"(?i)chunked\t", "RFC 9112 §5: OWS behind a value may be tabs"),
    Accepted("h11", "illegal chunk header", rb"[ \t];|;[ \t]", "as above"),
    Accepted("h1c", "ParseError: Whitespace in chunk", rb"[ \t];", "as above"),
    Accepted("h1c", "InvalidRequestMethod: (Lowercase|HTTP method length|'#' not)", _ANY, "RFC 9110 §9.1: a method is any token, case-sensitive; h1c wants 3 to 20 capitals"),
    Accepted("h1c", r"InvalidRequestMethod: Invalid character '\\x0d'", rb"\r\n", "RFC 9112 §2.2: SHOULD ignore at least one empty line before the request-line"),
    Accepted("h11", "no request line received", rb"\r\n", "as above"),
]  # fmt: skip


def difference(name: str, octets: bytes, ours: Reading, theirs: Reading) -> str | None:
    """Say what differs and is not in the tables, or None."""
    common = min(len(ours.requests), len(theirs.requests))
    if (
        name == "llhttp"
        and ours.outcome == theirs.outcome == CLOSED
        and b"pgrade" in octets
        and len(ours.requests) == common
    ):
        # llhttp leaves all that follows the head of an upgrade to its caller. The
        # request has a body all the same (RFC 9110 §7.8: the server switches after
        # the request; RFC 9112 §6: its framing does not depend on Upgrade).
        common -= 1
    if ours.requests[:common] != theirs.requests[:common]:
        return f"other requests: {ours.requests} here, {theirs.requests} by {name}"
    if len(ours.requests) < len(theirs.requests):
        if ours.outcome == REFUSED:
            if any(ours.why.startswith(why) for why in WE_REFUSE):
                return None
        elif ours.outcome == CUT and re.search(rb"(?<!\r)\n", octets):
            # RFC 9112 §2.2: a line ends with CRLF; they MAY take a single LF for one,
            # and a line of HTTP/0.9 for a request. We wait for the end of the head,
            # and refuse it then.
            return None
        elif ours.outcome == CLOSED and re.search(rb"(?i)connection:.*close", octets):
            # RFC 9112 §9.3: close decides, wherever it stands; others take the last.
            return None
        elif ours.outcome == CLOSED and re.search(
            rb"(?i)HTTP/1\.0\r\n(?s:.*)keep-alive[^\s,]", octets
        ):
            # RFC 9112 §9.3: HTTP/1.0 persists with the option "keep-alive", and a longer
            # one that begins so is another.
            return None
        return f"{name} accepts more than we do: {ours}"
    if len(ours.requests) > len(theirs.requests):
        if theirs.outcome == CLOSED and re.search(rb"(?i)upgrade:|connection:", octets):
            # Closing early hides nothing (RFC 9112 §9.3: a server may). They do it for
            # Upgrade without the connection option (RFC 9110 §7.8: ignored), for
            # HTTP/1.0 with keep-alive, and for options like ":close".
            return None
        if theirs.outcome == REFUSED and any(
            name == accepted.oracle
            and re.match(accepted.why, theirs.why)
            and re.search(accepted.octets, octets)
            for accepted in WE_ACCEPT
        ):
            return None
        return f"we accept more than {name}: {theirs}"
    return None


@pytest.mark.timeout(24 * 3600)
@pytest.mark.parametrize("name", list(ORACLES))
def test_requests_are_read_as_others_read_them(name: str) -> None:
    if name == "h1c":
        pytest.importorskip("gunicorn_h1c")
    read = ORACLES[name]
    random = Random(SEED)
    parser = HeadParser()
    for _ in range(INPUTS):
        octets = near_valid(random)
        found = difference(name, octets, read_ours(octets, parser), read(octets))
        assert found is None, f"{found}\n{octets!r}"


@pytest.mark.timeout(24 * 3600)
def test_chunked_bodies_are_read_alike_in_any_pieces() -> None:
    random = Random(SEED)
    for _ in range(INPUTS):
        body = chunked_body(random)
        whole = decode_chunks([body])
        cuts = sorted(random.randrange(len(body) + 1) for _ in range(3))
        pieces = [
            body[start:end]
            for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)
        ]
        assert decode_chunks(pieces) == whole, (body, pieces)
        assert decode_chunks([body[at : at + 1] for at in range(len(body))]) == whole, (
            body
        )


def decode_chunks(pieces: list[bytes]) -> tuple[str, bytes, bytes]:
    """How it ended, the data, the rest; of a refused body only that it was."""
    decoder = ChunkedDecoder()
    data = rest = b""
    try:
        for piece in pieces:
            if decoder.complete:
                rest += piece
            else:
                data += decoder.feed(piece)
    except RemoteProtocolError:
        return REFUSED, b"", b""
    if decoder.complete:
        return "complete", data, decoder.leftover + rest
    return CUT, data, b""


def test_what_coverage_has_found_stays_explained() -> None:
    for octets in (b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /b\n\r\n",):
        ours = read_ours(octets)
        for name in ("llhttp", "h11"):
            assert difference(name, octets, ours, ORACLES[name](octets)) is None


@given(st.randoms(use_true_random=False))
def test_a_difference_is_shrunk_to_few_bytes(random: Random) -> None:
    # The same as above where hypothesis chooses, for its search and its shrinking.
    octets = near_valid(random)
    ours = read_ours(octets)
    for name in ("llhttp", "h11"):
        found = difference(name, octets, ours, ORACLES[name](octets))
        assert found is None, f"{found}\n{octets!r}"
