"""Socket options as users write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geuwsgi.errors import ConfigError
from geuwsgi.net.address import (
    AbstractAddress,
    Address,
    DescriptorAddress,
    SharedAddress,
    TcpAddress,
    UnixAddress,
    format_host_port,
    match_interface,
    parse_address,
    split_tls,
)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (":8080", TcpAddress("0.0.0.0", 8080)),
        (": 8080", TcpAddress("0.0.0.0", 8080)),
        ("0:5000", TcpAddress("0.0.0.0", 5000)),
        ("*:5000", TcpAddress("0.0.0.0", 5000)),
        ("5000", TcpAddress("0.0.0.0", 5000)),
        ("0.0.0.0:80", TcpAddress("0.0.0.0", 80)),
        ("127.0.0.1:0", TcpAddress("127.0.0.1", 0)),
        ("localhost:3031", TcpAddress("localhost", 3031)),
        (" localhost:3031 ", TcpAddress("localhost", 3031)),
        ("[::]:8000", TcpAddress("::", 8000)),
        ("[::1]:8000", TcpAddress("::1", 8000)),
        (":::8000", TcpAddress("::", 8000)),
        ("fe80::1%eth0:80", TcpAddress("fe80::1%eth0", 80)),
        ("172.*:8000", TcpAddress("172.*", 8000)),
        (":65535", TcpAddress("0.0.0.0", 65535)),
        ("/run/app.sock", UnixAddress("/run/app.sock")),
        ("app.sock", UnixAddress("app.sock")),
        ("/run/a:b.sock", UnixAddress("/run/a:b.sock")),
        ("@app", AbstractAddress("app")),
        ("\\0app", AbstractAddress("app")),
        ("\0app", AbstractAddress("app")),
        ("fd://3", DescriptorAddress(3)),
        ("=0", SharedAddress(0)),
    ],
)
def test_every_form_is_understood(text: str, address: Address) -> None:
    assert parse_address(text) == address


def test_a_plain_name_is_abstract_when_the_option_says_so() -> None:
    assert parse_address("app", abstract=True) == AbstractAddress("app")
    assert parse_address("/run/app", abstract=True) == AbstractAddress("/run/app")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            ":99999",
            "port 99999 in the address ':99999' is out of range (0 to 65535)",
        ),
        (
            "99999",
            "port 99999 in the address '99999' is out of range (0 to 65535)",
        ),
        (
            "h:" + "9" * 5000,
            f"port {'9' * 5000} in the address 'h:{'9' * 5000}' is out of range"
            " (0 to 65535)",
        ),
        (":http", "malformed port 'http' in the address ':http'"),
        (":-1", "malformed port '-1' in the address ':-1'"),
        (":٣", "malformed port '٣' in the address ':٣'"),
        ("localhost:", "the address 'localhost:' has no port"),
        ("[::1:80", "malformed IPv6 address in '[::1:80'"),
        ("[v]:80", "malformed IPv6 address in '[v]:80'"),
        ("::80", "malformed address '::80': one colon too many"),
        ("a b:80", "malformed host 'a b' in the address 'a b:80'"),
        ("", "the address is empty"),
        ("@", "the abstract socket '@' has no name"),
        ("fd://", "malformed descriptor in the address 'fd://'"),
        ("fd://x", "malformed descriptor in the address 'fd://x'"),
        ("=x", "malformed shared socket number in the address '=x'"),
        ("a\0b", "the socket path 'a\\x00b' contains a NUL"),
        (
            "/" + "x" * 107,
            f"the socket path '/{'x' * 107}' is too long (108 bytes, at most 107)",
        ),
        (
            "@" + "é" * 60,
            f"the abstract socket name '@{'é' * 60}' is too long (120 bytes, at most"
            " 107)",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_address(text)
    assert str(caught.value) == sentence


@given(st.text())
def test_any_text_is_an_address_or_a_configuration_error(text: str) -> None:
    try:
        address = parse_address(text)
    except ConfigError:
        return
    if isinstance(address, TcpAddress):
        assert 0 <= address.port <= 65535
        assert address.host


@given(st.integers(0, 65535), st.ip_addresses(v=6))
def test_an_ipv6_address_is_read_back_as_written(port: int, host: object) -> None:
    address = parse_address(format_host_port(str(host), port))
    assert address == TcpAddress(str(host), port)


def test_an_interface_pattern_takes_the_first_address_that_matches() -> None:
    addresses = ["127.0.0.1", "172.16.0.2", "172.17.0.1"]
    assert match_interface("172.*", addresses) == "172.16.0.2"
    assert match_interface("172.17.*", addresses) == "172.17.0.1"


def test_an_interface_pattern_without_match_names_what_there_is() -> None:
    with pytest.raises(ConfigError) as caught:
        match_interface("10.*", ["127.0.0.1"])
    assert str(caught.value) == (
        "no interface has an address like '10.*' (this machine has 127.0.0.1)"
    )


def test_the_certificate_follows_the_address() -> None:
    assert split_tls(":443,a.crt,a.key,HIGH") == (":443", "a.crt,a.key,HIGH")
    assert split_tls(":443") == (":443", "")


def test_the_keyval_form_of_https2_means_the_same() -> None:
    assert split_tls("addr=:443,cert=a.crt,key=a.key") == (":443", "a.crt,a.key")
    assert split_tls("cert=a.crt,addr=:443,clientca=ca.crt") == (
        ":443",
        "a.crt,,,ca.crt",
    )
    assert split_tls("addr=:443,spdy=1") == (":443", "")


def test_host_and_port_are_written_with_brackets_where_needed() -> None:
    assert format_host_port("::1", 80) == "[::1]:80"
    assert format_host_port("localhost", 80) == "localhost:80"
