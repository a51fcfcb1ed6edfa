"""Whom a request comes from, with proxies in front and without."""

import pytest

from hansa.platform.http.remote import TrustedProxies


def _seen(peer: str, *forwarded: str, trusted: tuple[str, ...] = ("10.0.0.1", "10.0.0.2", "::1")) -> str:
    return TrustedProxies(addresses=trusted).remote(peer, ",".join(forwarded))


def test_a_stranger_cannot_say_to_be_somebody_else():
    assert _seen("6.6.6.6", "1.2.3.4") == "6.6.6.6"
    assert _seen("10.0.0.1", "1.2.3.4", trusted=()) == "10.0.0.1"


@pytest.mark.parametrize(
    ("forwarded", "remote"),
    [
        (("1.2.3.4",), "1.2.3.4"),
        (("9.9.9.9, 1.2.3.4",), "1.2.3.4"),
        (("9.9.9.9, 1.2.3.4, 10.0.0.2",), "1.2.3.4"),
        (("9.9.9.9", "1.2.3.4"), "1.2.3.4"),
        (("2001:DB8::1",), "2001:db8::1"),
        (("1.2.3.4, nonsense",), "10.0.0.1"),
        (("10.0.0.2",), "10.0.0.1"),
        (("",), "10.0.0.1"),
        ((), "10.0.0.1"),
        ((", " * 100_000,), "10.0.0.1"),
    ],
)
def test_behind_trusted_proxies_the_rightmost_stranger_counts(forwarded: tuple[str, ...], remote: str):
    assert _seen("10.0.0.1", *forwarded) == remote
