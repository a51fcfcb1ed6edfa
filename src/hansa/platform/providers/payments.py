"""What a payment provider is to the shop: an outside party that moves money, and may not say at once what it did."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from hansa.kernel.errors import Fault
from hansa.kernel.money import Money
from hansa.platform.jobs.periodic import Job

ChargeState = Literal["pending", "authorized", "captured", "declined", "voided"]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a charge, as far as the provider knows. `reference` is the provider's own name of it; `reason`
    is its word for a buyer where it declined."""

    state: ChargeState
    reference: str = ""
    reason: str = ""


class RefundAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a refund."""

    state: Literal["pending", "refunded", "declined"]
    reference: str = ""
    reason: str = ""


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook that was found to be the provider's: `id` is the message's, `key` that of the charge it is about."""

    id: str
    key: str
    answer: Answer


class ProviderSilent(Fault):
    """The provider did not answer: it may or may not have acted. Ask `find`, or repeat with the same key."""


class ProviderKeyConflict(Fault):
    """The provider knows the key as that of another request. It did nothing now."""


class PaymentProvider(Protocol):
    """One provider. Any exception from a call but SignatureInvalid means: nobody knows whether it acted.

    `key` names a charge for good: whatever is said with the same key is about the same charge, so that money is
    taken at most once for it, however often the shop repeats itself.
    """

    @property
    def name(self) -> str: ...

    async def charge(self, *, key: str, token: str, amount: Money, capture: bool) -> Answer:
        """Take the money (`capture`), or only hold it. The same key never takes it twice, and tells what became of it.

        Raises ProviderKeyConflict if the key stands for another token or amount.
        """
        ...

    async def capture(self, *, key: str, reference: str) -> Answer:
        """Take all of what is held; answers what became of the charge, also when it was captured or voided before."""
        ...

    async def void(self, *, key: str, reference: str) -> Answer:
        """Let the charge come to nothing if that is still possible; answers what became of it.

        A charge that has not arrived is refused from now on (`voided`): with this, a shop that gave up on a charge
        need not fear one of its own requests that is still on the road. What is captured stays so and must be refunded.
        """
        ...

    async def refund(self, *, key: str, reference: str, amount: Money) -> RefundAnswer:
        """Give back a part of a captured charge, never more than is left of it. The same key gives back once."""
        ...

    async def find(self, *, key: str) -> Answer | None:
        """What the provider knows of this charge; None if it has not arrived."""
        ...

    def read_webhook(self, *, headers: Mapping[str, str], body: bytes, now: datetime) -> Notice | None:
        """What a webhook says; None if it is of no concern. Header names are in lower case.

        Raises security.webhooks.SignatureInvalid if the provider did not send it, or not just now.
        """
        ...

    def jobs(self) -> Sequence[Job]:
        """What must be run again and again for this provider to work."""
        ...

    async def close(self) -> None: ...
