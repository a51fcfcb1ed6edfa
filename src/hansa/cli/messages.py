"""`hansa messages trace`: what became of an event."""

import argparse
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import msgspec

from hansa.cli.answers import Refusal, complain, say
from hansa.cli.opening import clients
from hansa.kernel.ids import is_id
from hansa.platform.outbox.inbox import REMEMBERED
from hansa.platform.outbox.tracing import NoSuchEvent, Step, Trace, Traces
from hansa.settings import Settings

_AT = "%Y-%m-%d %H:%M:%S.%f"
_NO_TIME = " " * 24


def add_to(commands: Any) -> None:
    messages = commands.add_parser("messages", help="events on their way")
    acts = messages.add_subparsers(required=True, metavar="ACT")
    trace = acts.add_parser("trace", help="when an event was committed, confirmed by the broker, and handled by whom")
    trace.add_argument("event_id", metavar="EVENT_ID")
    trace.add_argument("--json", action="store_true")
    trace.set_defaults(act=_trace)


async def _trace(settings: Settings, options: argparse.Namespace) -> int:
    """0, or 1 when nothing is known of the event."""
    if not is_id(options.event_id):
        raise Refusal(f"{options.event_id} is no id of an event: these are numbers of up to 19 digits")
    async with clients(settings, only_asks=True) as client:
        try:
            trace = await client(Traces).trace(event_id=options.event_id)
        except NoSuchEvent as error:
            complain(
                f"nothing is noted of an event {error.event_id}. By its id it would be of "
                f"{error.made_at.strftime(_AT)[:-7]}Z; notes are kept for {REMEMBERED.days} days, and an event that "
                "nobody hears leaves none where there is no broker. The id of an order is not that of an event."
            )
            return 1
    say(msgspec.json.encode(trace).decode() if options.json else "\n".join(told(trace)))
    return 0


def told(trace: Trace) -> Iterator[str]:
    """A line a step, with its moment and how long after the commit it was."""
    yield f"{trace.type or 'an event'} {trace.event_id}" + (f" about {trace.aggregate}" if trace.aggregate else "")
    if trace.may_be:
        yield f"Its type is told by whoever has handled it, and nobody has; it may be {', '.join(trace.may_be)}."
    yield _line(trace, trace.committed_at, f"committed by {trace.source or 'a service that is not known'}")
    yield _published(trace)
    for step in trace.steps:
        yield _line(trace, step.at, _made_of_it(step))
    if not trace.steps and not trace.may_be:
        yield f"{_NO_TIME}            nobody hears such events"


def _published(trace: Trace) -> str:
    words = {
        "unsent": "not published yet: it lies in the outbox",
        "confirmed": "confirmed by the broker",
        "delivered": "delivered within the process (there is no broker)",
        "unknown": "no confirmation by a broker is noted: it was published without one",
    }
    return _line(trace, trace.published_at, words[trace.publication])


def _made_of_it(step: Step) -> str:
    match step.state:
        case "handled":
            return f"handled by {step.consumer}"
        case "parked":
            error = " ".join(step.error.split())
            return f"PARKED by {step.consumer} after {step.attempts} attempts: {error}"
        case "replayed" | "discarded":
            return f"{step.state} for {step.consumer} by {step.actor}"
        case "waiting":
            return f"not handled yet by {step.consumer}"
        case _:
            return f"nothing noted by {step.consumer}: it may not concern it"


def _line(trace: Trace, at: datetime | None, words: str) -> str:
    if at is None:
        return f"{_NO_TIME}            {words}"
    return f"{at.strftime(_AT)[:-3]}Z {_delay(at - trace.committed_at):>10}  {words}"


def _delay(late: timedelta) -> str:
    """Since the commit; ids and other clocks count in whole milliseconds, so that nothing is before it."""
    milliseconds = max(late / timedelta(milliseconds=1), 0)
    if milliseconds < 10_000:
        return f"+{milliseconds:,.0f} ms"
    return f"+{milliseconds / 1000:,.0f} s"
