"""Logs: one JSON object a line on stderr, with the request's correlation and without personal data."""

import logging
import sys
from contextvars import ContextVar, Token
from typing import Any, TextIO

import msgspec
import structlog
from structlog.dev import ConsoleRenderer, plain_traceback
from structlog.stdlib import ExtraAdder, ProcessorFormatter, add_log_level, add_logger_name
from structlog.types import EventDict, Processor, WrappedLogger

from hansa.kernel.clock import Clock, SystemClock
from hansa.platform.telemetry.privacy import Privacy

SERVER_LOGGING: dict[str, Any] = {
    "handlers": {},
    "loggers": {
        "_granian": {"handlers": [], "propagate": True},
        "granian.access": {"handlers": [], "propagate": True},
    },
}
"""Hand this to Granian as its log configuration: its records then take the same way as all others."""

TALKATIVE = ("alembic",)
"""Libraries that tell at level INFO what nobody asked."""

_correlation: ContextVar[str] = ContextVar("hansa_correlation", default="")
_OWN_FIELDS = ("event", "level", "at", "logger", "correlation")
"""Fields that logging itself writes: texts in them are searched, their names are not judged."""


class correlated:
    """`with correlated(id)`: everything that is logged inside bears this id, in tasks started there too."""

    __slots__ = ("_correlation", "_token")

    def __init__(self, correlation: str) -> None:
        self._correlation = correlation

    def __enter__(self) -> None:
        self._token: Token[str] = _correlation.set(self._correlation)

    def __exit__(self, *error: object) -> None:
        _correlation.reset(self._token)


def correlation() -> str:
    """The id that ties together what one request causes; empty outside of one."""
    return _correlation.get()


def configure(*, level: str, as_json: bool, clock: Clock | None = None, stream: TextIO | None = None) -> None:
    """Set up structlog and the standard library's logging; may be called again.

    Lines for people are written only if `as_json` is off and the stream is a terminal.
    """
    target = stream or sys.stderr
    time_source = clock or SystemClock()
    minimum = logging.getLevelNamesMapping()[level.upper()]
    entered: list[Processor] = [add_log_level, _add_correlation, _timestamped_by(time_source)]
    left: list[Processor] = [
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        _masked_by(Privacy(clock=time_source)),
        _renderer(as_json=as_json, stream=target),
    ]
    structlog.configure(
        processors=[*entered, *left],
        wrapper_class=structlog.make_filtering_bound_logger(minimum),
        logger_factory=structlog.WriteLoggerFactory(file=target),
        cache_logger_on_first_use=False,
    )
    _configure_standard_library(target, minimum, entered, left)


def _configure_standard_library(stream: TextIO, level: int, entered: list[Processor], left: list[Processor]) -> None:
    handler = _Handler(stream)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=[add_logger_name, ExtraAdder(), _without_copies, *entered],
            processors=[ProcessorFormatter.remove_processors_meta, *left],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [other for other in root.handlers if not isinstance(other, _Handler)] + [handler]
    root.setLevel(level)
    logging.captureWarnings(True)
    for talkative in TALKATIVE:
        logging.getLogger(talkative).setLevel(max(level, logging.WARNING))


class _Handler(logging.StreamHandler[TextIO]):
    """Ours, so that configuring again replaces it and leaves alone those of others."""


def _renderer(*, as_json: bool, stream: TextIO) -> Processor:
    if as_json or not stream.isatty():
        return _to_json
    # Exceptions are plain text by now, masked; a renderer that formats them itself would show local variables.
    return ConsoleRenderer(exception_formatter=plain_traceback, timestamp_key="at")


def _to_json(logger: WrappedLogger, method: str, fields: EventDict) -> str:
    return msgspec.json.encode(fields, enc_hook=str).decode()


def _add_correlation(logger: WrappedLogger, method: str, fields: EventDict) -> EventDict:
    if (current := _correlation.get()) and "correlation" not in fields:
        fields["correlation"] = current
    return fields


def _without_copies(logger: WrappedLogger, method: str, fields: EventDict) -> EventDict:
    """Drop what another handler's formatter left on a record of the standard library."""
    fields.pop("message", None)
    fields.pop("asctime", None)
    return fields


def _timestamped_by(clock: Clock) -> Processor:
    def timestamp(logger: WrappedLogger, method: str, fields: EventDict) -> EventDict:
        fields["at"] = clock.now().isoformat(timespec="microseconds").replace("+00:00", "Z")
        return fields

    return timestamp


def _masked_by(privacy: Privacy) -> Processor:
    def mask(logger: WrappedLogger, method: str, fields: EventDict) -> EventDict:
        # First what every line has, in the same order, so that lines can be read down a column.
        own = {name: privacy.of_value(fields.pop(name)) for name in _OWN_FIELDS if name in fields}
        return {**own, **privacy.of_mapping(fields)}

    return mask
