"""Everything that keeps tables, and how it is brought up to this version."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import MetaData

from hansa.adapters import database_target
from hansa.compose.services import MANIFESTS
from hansa.platform.database.migrations import check_version, migrate
from hansa.platform.database.upgrading_process import Upgrade, upgrade_apart
from hansa.platform.security import sealing
from hansa.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Stored:
    """Something that keeps tables: a service, or the keyring."""

    name: str
    metadata: MetaData
    folder: Path


KEYRING = Stored(name="keyring", metadata=sealing.METADATA, folder=Path(sealing.__file__).parent)
STORED: tuple[Stored, ...] = (
    KEYRING,
    *(Stored(name=manifest.name, metadata=manifest.metadata, folder=manifest.folder) for manifest in MANIFESTS),
)


async def migrate_all(settings: Settings, *, is_apart: bool = False) -> None:
    """Bring every database up to this version; `is_apart` in a process of its own, which takes with it what that needs.

    Raises NewerData before any of them is touched, and Fault if a migration fails.
    """
    outdated = []
    for stored in STORED:
        target, folder = database_target(settings, stored.name), stored.folder / "migrations"
        if not await check_version(target=target, name=stored.name, folder=folder):
            outdated.append((stored.name, target, folder))
    if is_apart and outdated:
        await upgrade_apart([_upgrade(*each) for each in outdated])
        return
    for name, target, folder in outdated:
        await migrate(target=target, name=name, folder=folder)


def _upgrade(name: str, target: Path | str, folder: Path) -> Upgrade:
    if isinstance(target, Path):
        return Upgrade(name=name, folder=str(folder), file=str(target.absolute()))
    return Upgrade(name=name, folder=str(folder), dsn=target)
