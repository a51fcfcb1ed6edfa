"""Business errors survive the wire, cursors only their own list, contracts their own rules."""

from typing import Protocol

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.kernel.contract import Key, command, methods_of, query
from hansa.kernel.errors import BusinessError, ErrorRecord, Fault, Kind, record_error, revive_error
from hansa.kernel.page import CursorInvalid, read_cursor, write_cursor


class Sold(BusinessError, code="test.sold", kind=Kind.CONFLICT):
    """It is sold."""

    sku: str
    left: int = 0


def test_an_error_is_the_same_after_the_wire() -> None:
    packed = msgspec.msgpack.encode(record_error(Sold(sku="HAT", left=3)))
    revived = revive_error(msgspec.msgpack.decode(packed, type=ErrorRecord), (Sold,))
    assert isinstance(revived, Sold)
    assert (revived.sku, revived.left, revived.code, str(revived)) == (
        "HAT",
        3,
        "test.sold",
        "test.sold(sku='HAT', left=3)",
    )
    assert repr(revived) == repr(Sold(sku="HAT", left=3))  # an exception msgspec made would end the process here


def test_an_error_nobody_declared_is_a_fault() -> None:
    assert isinstance(revive_error(ErrorRecord("test.other", {}), (Sold,)), Fault)


@given(st.integers(0, 2**62), st.text(max_size=20))
def test_a_cursor_gives_back_its_position(number: int, text: str) -> None:
    assert read_cursor("a", write_cursor("a", number, text), int, str) == (number, text)


@given(st.text(max_size=60))
def test_a_forged_cursor_is_refused(text: str) -> None:
    with pytest.raises(CursorInvalid):
        read_cursor("a", text, int)


def test_a_cursor_of_another_list_is_refused() -> None:
    with pytest.raises(CursorInvalid):
        read_cursor("a", write_cursor("b", 1), int)
    assert read_cursor("a", None, int) is None


def test_a_contract_says_what_it_is() -> None:
    class Good(Protocol):
        @query(errors=(Sold,))
        async def look(self, *, sku: str, most: int = 3) -> int: ...

        @command()
        async def act(self, *, key: Key) -> None: ...

    methods = methods_of(Good)
    assert not methods["look"].is_command
    assert methods["act"].is_command
    assert methods["look"].arguments(sku="x").most == 3  # type: ignore[attr-defined]

    class Keyless(Protocol):
        @command()
        async def act(self) -> None: ...

    class Unmarked(Protocol):
        async def act(self) -> None: ...

    class Positional(Protocol):
        @query()
        async def act(self, sku: str) -> None: ...

    for contract in (Keyless, Unmarked):
        with pytest.raises(TypeError):
            methods_of(contract)
    with pytest.raises(TypeError):
        _ = methods_of(Positional)["act"].arguments
