"""Which addresses of a Redis there are, and that none shows its password."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.platform.cache.redis_store.address import Address, parse


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("redis://localhost", Address(nodes=(("localhost", 6379),))),
        ("redis://localhost:7000/", Address(nodes=(("localhost", 7000),))),
        ("redis://[::1]:7000/3", Address(nodes=(("::1", 7000),), database=3)),
        (
            "rediss://shop:p%40ss@cache.example:7000/3?namespace=a",
            Address(
                nodes=(("cache.example", 7000),),
                is_secured=True,
                username="shop",
                password="p@ss",
                database=3,
                namespace="a",
            ),
        ),
        (
            "redis+sentinel://:secret@a,b:1/shop/2?sentinel_password=other",
            Address(
                nodes=(("a", 26379), ("b", 1)),
                master="shop",
                password="secret",
                sentinel_password="other",
                database=2,
            ),
        ),
        ("redis+sentinel://a/shop", Address(nodes=(("a", 26379),), master="shop")),
        ("redis+cluster://a:1,b:2,c", Address(nodes=(("a", 1), ("b", 2), ("c", 6379)), is_cluster=True)),
    ],
)
def test_an_address_says_where_redis_is(text: str, address: Address) -> None:
    assert parse(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "redis",
        "redis://",
        "redis://:secret@",
        "http://:secret@a",
        "unix:///secret/redis.sock",
        "redis+other://:secret@a",
        "redis://:secret@a:port",
        "redis://:secret@a:0",
        "redis://:secret@a:70000",
        "redis://:secret@a,b",
        "redis://:secret@a/shop",
        "redis://:secret@a/1/2",
        "redis://:sec@ret@a",
        "redis://secret@a",
        "redis://:secret@a/0#1",
        "redis://:secret@a/0?db=1",
        "redis://:secret@a/0?namespace={1}",
        "redis://:secret@a/0?namespace=a&namespace=b",
        "redis://:secret@a b/0",
        "redis+sentinel://:secret@a,b",
        "redis+sentinel://:secret@a,,b/shop",
        "redis+cluster://:secret@a,b/1",
        "redis+cluster://:secret@a,b?sentinel_password=x",
    ],
)
def test_what_is_no_address_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match="must be `redis://") as caught:
        parse(text)

    assert "sec" not in str(caught.value)
    assert caught.value.__context__ is None


@given(text=st.text(), start=st.sampled_from(["", "redis://", "redis+sentinel://", "rediss+cluster://"]))
def test_any_other_text_is_an_address_or_is_refused(text: str, start: str) -> None:
    try:
        address = parse(start + text)
    except ValueError as error:
        refused = str(error)
    else:
        refused = ""
        assert address.nodes
    assert not refused or refused.startswith("must be")


def test_an_address_is_shown_without_its_passwords() -> None:
    assert "secret" not in repr(parse("redis+sentinel://:secret@a/shop?sentinel_password=secret"))
