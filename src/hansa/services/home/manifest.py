"""Home as the rest of the house sees it: it hears of products and orders, and asks products only to start anew."""

from collections.abc import Sequence
from pathlib import Path

from hansa.kernel import tags
from hansa.platform.cache.freshness import Effects
from hansa.platform.jobs.periodic import Job
from hansa.platform.manifest import Manifest, Parts
from hansa.services.home.api import routes
from hansa.services.home.consumers import consumers
from hansa.services.home.contract import Home
from hansa.services.home.service import HomeService
from hansa.services.home.tables import METADATA
from hansa.services.products.contract import Products

FORGET_EVERY_S = 600.0
"""So much longer than 30 days a sale may count."""


def build(parts: Parts) -> HomeService:
    return HomeService(
        database=parts.database,
        clock=parts.clock,
        ids=parts.ids,
        products=parts.client(Products),
        default_locale=parts.channel.locales[0],
    )


def jobs(service: HomeService) -> Sequence[Job]:
    return (Job(name="home.forget", every_s=FORGET_EVERY_S, run=service.forget),)


MANIFEST = Manifest(
    name="home",
    contract=Home,
    uses=(Products,),
    metadata=METADATA,
    folder=Path(__file__).parent,
    build=build,
    consumers=consumers,
    jobs=jobs,
    effects=Effects(tells={"put_banners": lambda arguments: (tags.HOME,), "rebuild": lambda arguments: (tags.HOME,)}),
    routes=routes,
)
