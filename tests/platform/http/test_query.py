"""Query strings as structs: fields that may stand there several times, and those that take any text."""

from typing import Annotated

import msgspec
import pytest
from starlette.requests import Request

from hansa.platform.http.errors import BodyInvalid
from hansa.platform.http.request import AnyText, read_query


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One field of each kind."""

    q: AnyText = ""
    tag: Annotated[tuple[str, ...], msgspec.Meta(max_length=3)] = ()
    bare: tuple[int, ...] = ()
    one: str | None = None


def asked(query: str) -> Asked:
    found: Asked = read_query(Request({"type": "http", "query_string": query.encode(), "headers": []}), Asked)
    return found


def test_a_field_that_is_a_tuple_gets_every_value_and_another_one_the_last() -> None:
    found = asked("tag=a&one=1&tag=b,c&one=2&bare=1&bare=2")

    assert found == Asked(tag=("a", "b,c"), bare=(1, 2), one="2")


def test_what_is_not_said_is_as_the_struct_says() -> None:
    assert asked("") == asked("unknown=1") == Asked()


def test_a_text_that_may_be_anything_is_taken_whatever_its_bytes() -> None:
    assert asked("q=a%00b").q == "a b"
    assert asked("q=%ff%fe").q == "\ufffd\ufffd"


@pytest.mark.parametrize("query", ["one=a%00b", "tag=%00", "tag=a&tag=b&tag=c&tag=d", "bare=x"])
def test_what_no_field_takes_is_refused(query: str) -> None:
    with pytest.raises(BodyInvalid):
        asked(query)
