"""What may be asked of recommendations: so far, to take down what visitors do."""

from typing import Annotated, Literal, Protocol

import msgspec

from hansa.kernel.contract import Key, command
from hansa.kernel.errors import BusinessError, Kind
from hansa.kernel.ids import Id

MOST_BEHAVIOURS = 50
"""In one batch."""
LONGEST_QUERY = 200
"""Characters of a search that are kept."""
OLDEST_MS = 86_400_000
"""A day: older behaviour is not worth sending."""

Visitor = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{16,64}$(?!\n)")]
"""A random pseudonym that the browser made for itself, after consent was given; say 128 bits in base64url."""
Sku = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._+/#-]*$(?!\n)")]
Slug = Annotated[str, msgspec.Meta(min_length=1, max_length=120, pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$(?!\n)")]
Locale = Annotated[str, msgspec.Meta(max_length=35, pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$(?!\n)")]
PageName = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z_-]{0,39}$(?!\n)")]
"""What kind of page it was (`home`, `category`, `search`, `product`); never its address, which may be private."""


class TooManyEvents(BusinessError, code="recommendations.too_many", kind=Kind.TOO_MANY):
    """More events than anybody makes by looking; send fewer batches."""

    retry_after_s: int


class Behaviour(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a visitor did.

    `search` needs a query, everything else a product (by id, slug or sku), but a `view` may be of a page alone; what
    says too little is left out. A query tells by which search a click or an impression came about. What looks like an
    address of e-mail, a telephone or a card number is not kept of a query.
    """

    kind: Literal["view", "search", "impression", "click", "add_to_cart"]
    product_id: Id | None = None
    slug: Slug | None = None
    sku: Sku | None = None
    query: Annotated[str, msgspec.Meta(max_length=2_000)] | None = None
    position: Annotated[int, msgspec.Meta(ge=0, le=10_000)] | None = None
    """In the list it was seen in, from 0."""
    page: PageName | None = None
    locale: Locale | None = None
    age_ms: Annotated[int, msgspec.Meta(ge=0, le=OLDEST_MS)] = 0
    """How long ago it was, by the browser's own measure: its clock may be wrong."""


Behaviours = Annotated[tuple[Behaviour, ...], msgspec.Meta(max_length=MOST_BEHAVIOURS)]


class Recommendations(Protocol):
    """What visitors do is kept under a pseudonym that changes by the month, for 90 days."""

    @command(errors=(TooManyEvents,))
    async def record(self, *, key: Key, consent: bool, visitor: Visitor, behaviours: Behaviours, remote: str) -> None:
        """Take down what a visitor did, at most 50 things; the same key takes them down once.

        Without `consent` nothing is kept and nobody counted. It may be lost: what is taken is written within about a
        second, and when more comes than can be written, the latest is dropped. `remote` is the address that it came
        from, which is not kept; per address and per visitor only so many batches are taken.
        """
        ...
