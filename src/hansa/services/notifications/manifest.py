"""What the service notifications says of itself."""

from collections.abc import Sequence
from pathlib import Path

from hansa.platform.jobs.periodic import Job
from hansa.platform.manifest import Manifest, Parts
from hansa.services.notifications.consumers import consumers
from hansa.services.notifications.service import NotificationsService
from hansa.services.notifications.tables import METADATA

SEND_EVERY_S = 1.0


def build(parts: Parts) -> NotificationsService:
    return NotificationsService(
        database=parts.database,
        clock=parts.clock,
        keyring=parts.keyring,
        mailer=parts.mailer,
        public_url=parts.public_url,
        shop_name=parts.shop_name,
    )


def jobs(service: NotificationsService) -> Sequence[Job]:
    return [Job(name="notifications.send", every_s=SEND_EVERY_S, run=service.send)]


MANIFEST = Manifest(
    name="notifications",
    contract=None,
    metadata=METADATA,
    folder=Path(__file__).parent,
    build=build,
    consumers=consumers,
    jobs=jobs,
    quiet=lambda service: service.sending.quiet(),
    close=NotificationsService.close,
)
