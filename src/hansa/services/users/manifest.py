"""What users says of itself: it asks nobody and hears nothing."""

from collections.abc import Sequence
from pathlib import Path

from hansa.platform.cache.freshness import Effects
from hansa.platform.http.tokens import SESSIONS, session_of
from hansa.platform.jobs.periodic import Job
from hansa.platform.manifest import Manifest, Parts
from hansa.services.users.api import routes
from hansa.services.users.contract import Users
from hansa.services.users.service import UsersService
from hansa.services.users.tables import METADATA

FORGET_SESSIONS_EVERY_S = 3600.0


def build(parts: Parts) -> UsersService:
    return UsersService(
        database=parts.database,
        clock=parts.clock,
        ids=parts.ids,
        keyring=parts.keyring,
        passwords=parts.passwords,
    )


def jobs(service: UsersService) -> Sequence[Job]:
    return [Job(name="users.forget_sessions", every_s=FORGET_SESSIONS_EVERY_S, run=service.forget_sessions)]


MANIFEST = Manifest(
    name="users",
    contract=Users,
    metadata=METADATA,
    folder=Path(__file__).parent,
    build=build,
    jobs=jobs,
    effects=Effects(
        tells={
            "sign_out": lambda arguments: (session_of(arguments["token"]),),
            "change_password": lambda arguments: (SESSIONS,),
            "put_staff": lambda arguments: (SESSIONS,),
        }
    ),
    routes=routes,
)
