"""Faults that are planted in the real code while a run goes on, so that it is known what the simulator can find."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

import msgspec

from tests.simulation.planted import of_messages, of_payments, of_promotions, of_stock, of_the_rest


class Planted(msgspec.Struct, frozen=True, kw_only=True):
    """A mistake: what it is, and how it is made for as long as the context is open."""

    sentence: str
    plant: Callable[[], AbstractContextManager[None]]


PLANTED: Mapping[str, Planted] = {
    "check, then act, on stock": Planted(
        sentence="A reservation reads what is there, and takes it in a second transaction without looking again.",
        plant=of_stock.check_then_act,
    ),
    "sent before published": Planted(
        sentence="The relay removes events from the outbox first and publishes them then.",
        plant=of_messages.sent_before_published,
    ),
    "no inbox": Planted(
        sentence="Consumers take every delivery for a new one.",
        plant=of_messages.no_inbox,
    ),
    "stale count": Planted(
        sentence="A count of stock adds the difference to a level that was read in another transaction.",
        plant=of_stock.stale_count,
    ),
    "stale payment": Planted(
        sentence="What the provider says is reckoned from the payment as it was before the call, and overwrites it.",
        plant=of_payments.stale_payment,
    ),
    "release after capture": Planted(
        sentence="An order that comes to nothing after the capture gives its pieces back, and not the money.",
        plant=of_payments.release_after_capture,
    ),
    "new key for a charge": Planted(
        sentence="A charge of which nothing was heard is sent again under a new key.",
        plant=of_payments.new_key_for_a_charge,
    ),
    "new key for a refund": Planted(
        sentence="Each try of a refund has a key of its own.",
        plant=of_payments.new_key_for_a_refund,
    ),
    "late webhook ignored": Planted(
        sentence="A capture that is told when the payment is closed or given up is old news, and nobody asks again.",
        plant=of_payments.late_webhook_ignored,
    ),
    "lost update in the cart": Planted(
        sentence="Putting a line reads the whole cart, and writes all of it back in another transaction.",
        plant=of_the_rest.lost_update_in_the_cart,
    ),
    "a read model skips an event": Planted(
        sentence="Home takes a product's news only if it is the very next version.",
        plant=of_messages.read_model_skips,
    ),
    "two relays, one clears up": Planted(
        sentence="A relay removes everything up to the last event it has published, which it takes for its own.",
        plant=of_messages.relay_clears_up,
    ),
    "two relays, one remembers": Planted(
        sentence="A relay looks only for events after the last one it saw, though commits become visible out of order.",
        plant=of_messages.relay_remembers,
    ),
    "sweeper races payment": Planted(
        sentence="The sweeper lists reservations that are over, and frees them a round later, sold or not.",
        plant=of_stock.sweeper_races_payment,
    ),
    "worker number shared": Planted(
        sentence="Two processes make identifiers from the same block of numbers.",
        plant=of_messages.shared_worker_number,
    ),
    "silence is a no": Planted(
        sentence="A provider that does not answer has declined.",
        plant=of_payments.silence_is_a_no,
    ),
    "refund of what was paid": Planted(
        sentence="A refund may be as much as was paid, whatever was given back already.",
        plant=of_payments.refund_of_what_was_paid,
    ),
    "answer kept later": Planted(
        sentence="The answer to a key is kept in a transaction after the one with the effect.",
        plant=of_the_rest.answer_kept_later,
    ),
    "unknown is failure": Planted(
        sentence="A refund that breaks off, or is not answered within a second, is taken for refused.",
        plant=of_the_rest.unknown_is_failure,
    ),
    "unpaid pieces stay claimed": Planted(
        sentence="Only cancelled orders give pieces back to a flash sale, rejected ones do not.",
        plant=of_promotions.rejected_orders_keep_their_claims,
    ),
    "event after the commit": Planted(
        sentence="Events are written in a transaction after the one with the deed.",
        plant=of_messages.event_after_the_commit,
    ),
}
"""By name."""
