"""Logs: a JSON object a line, for our own records and for those of libraries, without personal data."""

import asyncio
import io
import logging
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import structlog

from hansa.platform.telemetry import logs
from tests.clocks import ManualClock


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


def configured(*, level: str = "info", as_json: bool = True, stream: io.StringIO | None = None) -> io.StringIO:
    stream = stream or io.StringIO()
    logs.configure(level=level, as_json=as_json, clock=ManualClock(), stream=stream)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in stream.getvalue().splitlines()]


def test_a_record_is_one_line_of_json():
    stream = configured()
    structlog.get_logger().info("order placed", order_id="7", total=1999)
    assert lines(stream) == [
        {"event": "order placed", "level": "info", "at": "2026-01-01T00:00:00.000000Z", "order_id": "7", "total": 1999}
    ]


def test_records_of_the_standard_library_take_the_same_way():
    stream = configured()
    logging.getLogger("asyncpg.pool").warning("lost %s", "ada@example.org", extra={"attempt": 2, "password": "x"})
    assert lines(stream) == [
        {
            "event": "lost [masked]",
            "level": "warning",
            "at": "2026-01-01T00:00:00.000000Z",
            "logger": "asyncpg.pool",
            "attempt": 2,
            "password": "[masked]",
        }
    ]


def test_the_servers_records_do_so_too():
    stream = configured()
    from granian.log import LogLevels, configure_logging

    configure_logging(LogLevels.info, logs.SERVER_LOGGING)
    logging.getLogger("_granian").info("Listening")
    logging.getLogger("granian.access").info("GET /reset?token=%s", "abc")
    assert [line["event"] for line in lines(stream)] == ["Listening", "GET /reset?token=[masked]"]


def fail() -> None:
    raise ValueError("no such person: ada@example.org, card 4111 1111 1111 1111, Bearer abc.def")


def test_the_texts_of_exceptions_are_masked():
    stream = configured()
    for log in (structlog.get_logger(), logging.getLogger("library")):
        try:
            fail()
        except ValueError:
            log.exception("failed")
    assert len(lines(stream)) == 2
    for line in lines(stream):
        assert "ValueError: no such person: [masked], card [masked], Bearer [masked]" in line["exception"]
        assert "Traceback" in line["exception"]


def test_terminals_get_lines_for_people_without_local_variables_and_masked_too():
    stream = configured(as_json=False, stream=Terminal())
    passport = "P1234567"
    try:
        fail()
    except ValueError:
        structlog.get_logger().exception("failed", email="ada@example.org")
    shown = stream.getvalue()
    assert "failed" in shown
    assert "ValueError" in shown
    assert passport not in shown
    assert "ada" not in shown
    assert not shown.startswith("{")


def test_without_a_terminal_there_is_json_whatever_the_setting():
    stream = configured(as_json=False)
    structlog.get_logger().info("hello")
    assert lines(stream)[0]["event"] == "hello"


def test_lower_levels_are_left_out():
    stream = configured(level="warning")
    structlog.get_logger().info("quiet")
    logging.getLogger("library").info("quiet")
    structlog.get_logger().warning("loud")
    assert [line["event"] for line in lines(stream)] == ["loud"]


def test_configuring_again_does_not_say_things_twice():
    configured()
    stream = configured()
    logging.getLogger("library").warning("once")
    assert len(lines(stream)) == 1


async def test_everything_that_a_request_causes_bears_its_correlation():
    stream = configured()
    log = structlog.get_logger()

    async def work() -> None:
        log.info("inside")
        logging.getLogger("library").warning("below")

    with logs.correlated("abc"):
        task = asyncio.create_task(work())
        assert logs.correlation() == "abc"
    await task
    log.info("outside")
    assert [line.get("correlation") for line in lines(stream)] == ["abc", "abc", None]


def test_a_value_that_is_no_json_does_not_break_the_line():
    stream = configured()
    structlog.get_logger().info("odd", value=object(), data=b"\xff", when=ManualClock().now(), number=float("nan"))
    assert lines(stream)[0]["when"] == "2026-01-01 00:00:00+00:00"
