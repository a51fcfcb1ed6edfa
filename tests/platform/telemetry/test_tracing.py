"""The trace that a request belongs to: known inside of it, and only if it is one."""

import asyncio

import pytest

from hansa.platform.telemetry.tracing import traced, traceparent

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_a_trace_is_known_inside_of_its_request_and_in_what_is_begun_there():
    with traced(TRACE):
        inside = traceparent()
        task = asyncio.create_task(_asked())
    assert (inside, await task, traceparent()) == (TRACE, TRACE, "")


async def _asked() -> str:
    return traceparent()


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "nonsense",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        TRACE + "\n",
        TRACE + "-more",
    ],
)
def test_what_is_no_trace_is_as_good_as_none(header: str | None):
    with traced(header):
        assert traceparent() == ""
