"""What skus cost now: asked by every cart and order, so those who ask at the same time share their statements."""

from collections.abc import Sequence
from typing import NamedTuple

from hansa.kernel.clock import Clock, to_micros
from hansa.platform.database.batcher import Gatherer
from hansa.platform.database.port import Database
from hansa.services.products import rules
from hansa.services.products.contract import Offer
from hansa.services.products.service.showing import shown_offer
from hansa.services.products.store import showing


class Terms(NamedTuple):
    """In which words and money offers are made."""

    languages: rules.Languages
    currency: str
    price_list: str


class Question(NamedTuple):
    """What one caller asks for; each sku once."""

    skus: tuple[str, ...]
    terms: Terms


class Offering:
    """See the module."""

    def __init__(self, *, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._looking: Gatherer[Question, tuple[Offer, ...]] = Gatherer(name="offers", look=self._look)

    async def offers(self, *, skus: Sequence[str], terms: Terms) -> tuple[Offer, ...]:
        """The offers of those that are on sale, in the order of the skus."""
        wanted = tuple(sku for sku in dict.fromkeys(skus) if rules.is_askable(sku))
        return await self._looking.submit(Question(wanted, terms)) if wanted else ()

    async def close(self) -> None:
        await self._looking.close()

    async def _look(self, questions: Sequence[Question]) -> list[tuple[Offer, ...] | Exception]:
        found: dict[Terms, dict[str, Offer]] = {}
        for terms in dict.fromkeys(question.terms for question in questions):
            skus = dict.fromkeys(sku for question in questions if question.terms == terms for sku in question.skus)
            found[terms] = await self._offers(list(skus), terms)
        return [
            tuple(found[question.terms][sku] for sku in question.skus if sku in found[question.terms])
            for question in questions
        ]

    async def _offers(self, skus: Sequence[str], terms: Terms) -> dict[str, Offer]:
        rows = await showing.offers(
            self._database,
            skus=skus,
            languages=terms.languages,
            currency=terms.currency,
            price_list=terms.price_list,
            now=to_micros(self._clock.now()),
        )
        return {
            sku: shown_offer(row, currency=terms.currency) for sku, row in rows.items() if row["amount"] is not None
        }
