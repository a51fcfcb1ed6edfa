"""Which addresses may be reached at the wish of somebody who typed them in."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.platform.outgoing.addresses import flaw_of, is_public

PRIVATE = [
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:93.184.216.34",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::5db8:d822",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "3fff::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "2606:2800:220:1::1%1",
    "fec0::1",
    "ff02::1",
]
PUBLIC = ["93.184.216.34", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:2800:220:1:248:1893:25c8:1946", "2a00:1450::1"]
SPELLINGS_OF_THIS_MACHINE = [
    "127.0.0.1",
    "2130706433",
    "0x7f000001",
    "0x7F.1",
    "017700000001",
    "0177.0.0.1",
    "127.1",
    "127.0.1",
    "127.0.0.01",
    "127.0.0.1.",
    "0",
    "0x0",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[fe80::1%25eth0]",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "shop.localhost",
    "printer.local",
    "metadata.google.internal",
    "router",
    "xn--localhost",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_public_is_known_as_such(address: str):
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_may_be_reached(address: str):
    assert is_public(address)


@pytest.mark.parametrize("text", ["", "localhost", "127.1", "0x7f000001", "2130706433", "1.1.1.1 ", "1.1.1.1/32"])
def test_what_is_no_address_is_not_public(text: str):
    assert not is_public(text)


@given(st.ip_addresses(v=4))
def test_no_address_of_ipv4_that_python_calls_private_is_public(address: IPv4Address):
    if address.is_private or address.is_multicast or address.is_reserved or address.is_link_local:
        assert not is_public(str(address))


@given(st.ip_addresses(v=6) | st.integers(0, 2**32 - 1).map(lambda low: IPv6Address(low | 0xFFFF << 32)))
def test_no_address_of_ipv6_that_python_calls_private_is_public(address: IPv6Address):
    if address.is_private or address.is_multicast or address.is_reserved or address.ipv4_mapped or address.sixtofour:
        assert not is_public(str(address))


@pytest.mark.parametrize("host", SPELLINGS_OF_THIS_MACHINE)
@pytest.mark.parametrize("rest", ["/", ":8443/hook", "?x=1"])
def test_no_spelling_of_this_machine_or_its_network_is_taken(host: str, rest: str):
    assert flaw_of(f"https://{host}{rest}", may_be_private=False) in ("host", "private", "malformed")


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example.com",
        "https://shop.example.com/hook?token=a%20b&x=[1]",
        "https://shop.example.com:8443/hook",
        "https://shop.example.com:80/",
        "https://xn--bcher-kva.example/hook",
        "https://_dmarc.example.com/",
        "https://1.1.1.1/hook",
        "https://[2606:2800:220:1:248:1893:25c8:1946]:443/hook",
    ],
)
def test_a_plain_address_of_a_public_host_is_taken(url: str):
    assert flaw_of(url, may_be_private=False) is None


@pytest.mark.parametrize(
    ("url", "flaw"),
    [
        ("", "malformed"),
        ("shop.example.com/hook", "scheme"),
        ("//shop.example.com/hook", "scheme"),
        ("http://shop.example.com/hook", "scheme"),
        ("ftp://shop.example.com/hook", "scheme"),
        ("file:///etc/passwd", "scheme"),
        ("gopher://shop.example.com:70/_x", "scheme"),
        ("https:///hook", "host"),
        ("https://", "host"),
        ("https://ada:secret@shop.example.com/", "credentials"),
        ("https://shop.example.com@127.0.0.1/", "credentials"),
        ("https://127.0.0.1@shop.example.com/", "credentials"),
        ("https://shop.example.com:0/", "port"),
        ("https://shop.example.com:/", "port"),
        ("https://shop.example.com:22/", "port"),
        ("https://shop.example.com:25/", "port"),
        ("https://shop.example.com:99999/", "malformed"),
        ("https://shop.example.com:x/", "malformed"),
        ("https://shop.example.com/#part", "malformed"),
        ("https://shop.example.com\\@127.0.0.1/", "malformed"),
        ("https://shop.example.com\t/", "malformed"),
        ("https://shop.example.com/\r\nHost: x", "malformed"),
        (" https://shop.example.com/", "malformed"),
        ("https://shop.example.com/a b", "malformed"),
        ("https://１２７.0.0.1/", "malformed"),
        ("https://bücher.example/", "malformed"),
        ("https://shop..example.com/", "host"),
        ("https://.example.com/", "host"),
        ("https://shop.example.com./", "host"),
        ("https://sh%6fp.example.com/", "host"),
        ("https://-shop.example.com/", "host"),
        ("https://[::1/", "malformed"),
        ("https://[::1].example.com/", "host"),
        ("https://example.com[::1]/", "host"),
        ("https://[v1.x]/", "host"),
        ("https://10.0.0.1/", "private"),
        ("https://[fd00::1]/", "private"),
        ("https://" + "a" * 64 + ".example.com/", "host"),
        ("https://example.com/" + "a" * 2000, "malformed"),
    ],
)
def test_what_is_wrong_with_an_address_is_said(url: str, flaw: str):
    assert flaw_of(url, may_be_private=False) == flaw


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9000/hook", "http://localhost/", "https://[::1]:22/", "http://10.0.0.1/", "http://pos/x"]
)
def test_addresses_of_ones_own_network_are_taken_where_that_is_allowed(url: str):
    assert flaw_of(url, may_be_private=True) is None


@pytest.mark.parametrize("url", ["ftp://10.0.0.1/", "http://a:b@10.0.0.1/", "http://2130706433/", "http://127.1/", "x"])
def test_odd_spellings_are_refused_even_there(url: str):
    assert flaw_of(url, may_be_private=True) is not None


@given(st.text(max_size=60))
def test_any_text_is_judged_without_failing(text: str):
    for url in (text, f"https://{text}", f"https://{text}.example.com/{text}"):
        flaw_of(url, may_be_private=False)
        flaw_of(url, may_be_private=True)
