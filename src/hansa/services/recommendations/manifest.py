"""Recommendations as the rest of the house sees them: so far they only listen to the beacon."""

from collections.abc import Sequence
from pathlib import Path

from hansa.platform.jobs.periodic import Job
from hansa.platform.manifest import Manifest, Parts
from hansa.services.recommendations.api import routes
from hansa.services.recommendations.contract import Recommendations
from hansa.services.recommendations.service import RecommendationsService
from hansa.services.recommendations.tables import METADATA

WRITE_EVERY_S = 1.0
FORGET_EVERY_S = 3600.0


def build(parts: Parts) -> RecommendationsService:
    return RecommendationsService(database=parts.database, clock=parts.clock, keyring=parts.keyring)


def jobs(service: RecommendationsService) -> Sequence[Job]:
    return (
        Job(name="recommendations.write", every_s=WRITE_EVERY_S, run=service.write),
        Job(name="recommendations.forget_behaviour", every_s=FORGET_EVERY_S, run=service.forget),
    )


MANIFEST = Manifest(
    name="recommendations",
    contract=Recommendations,
    metadata=METADATA,
    folder=Path(__file__).parent,
    build=build,
    jobs=jobs,
    close=RecommendationsService.close,
    routes=routes,
)
