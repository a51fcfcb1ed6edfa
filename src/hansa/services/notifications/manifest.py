"""What the service notifications says of itself: it asks nobody, and hears everybody."""

from collections.abc import Sequence
from pathlib import Path

from hansa.platform.jobs.periodic import Job
from hansa.platform.manifest import Manifest, Parts
from hansa.services.notifications.api import routes
from hansa.services.notifications.consumers import consumers, event_types
from hansa.services.notifications.contract import Notifications
from hansa.services.notifications.service import NotificationsService
from hansa.services.notifications.tables import METADATA

SEND_EVERY_S = 1.0
LOOK_EVERY_S = 0.5
"""Twice in a lease, so that what a process knows of webhooks is always good for something."""
TIDY_EVERY_S = 600.0


def build(parts: Parts) -> NotificationsService:
    return NotificationsService(
        database=parts.database,
        clock=parts.clock,
        ids=parts.ids,
        keyring=parts.keyring,
        mailer=parts.mailer,
        poster=parts.adapters["poster"],
        event_types=event_types(),
        public_url=parts.public_url,
        shop_name=parts.shop_name,
    )


def jobs(service: NotificationsService) -> Sequence[Job]:
    return [
        Job(name="notifications.send", every_s=SEND_EVERY_S, run=service.mails.send),
        Job(name="notifications.look", every_s=LOOK_EVERY_S, run=service.look),
        Job(name="notifications.tidy", every_s=TIDY_EVERY_S, run=service.tidy),
    ]


MANIFEST = Manifest(
    name="notifications",
    contract=Notifications,
    metadata=METADATA,
    folder=Path(__file__).parent,
    build=build,
    consumers=consumers,
    jobs=jobs,
    quiet=NotificationsService.quiet,
    close=NotificationsService.close,
    routes=routes,
)
