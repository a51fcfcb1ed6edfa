"""The rooms of the staff's house: what stands in the navigation, in its order."""

from collections.abc import Sequence
from dataclasses import dataclass

from hansa.web.site import Site


@dataclass(frozen=True, kw_only=True)
class Room:
    """A part of the staff pages. It is called `room.<name>` in the texts."""

    name: str
    path: str
    icon: str
    tool: str = ""
    """What of `site.tools` the room works with; a shop without it has no such room."""


ROOMS = (
    Room(name="start", path="admin", icon="home"),
    Room(name="orders", path="admin/orders", icon="bag"),
    Room(name="products", path="admin/products", icon="tag"),
    Room(name="customers", path="admin/customers", icon="person"),
    Room(name="banners", path="admin/banners", icon="picture"),
    Room(name="transfers", path="admin/transfers", icon="exchange", tool="transfers"),
    Room(name="webhooks", path="admin/webhooks", icon="hook"),
    Room(name="dead_letters", path="admin/dead-letters", icon="letter", tool="dead_letters"),
)


def rooms_of(site: Site) -> Sequence[Room]:
    return [room for room in ROOMS if not room.tool or room.tool in site.tools]


def room_at(path: str) -> str:
    """The name of the room that a page is in."""
    inside = (room for room in reversed(ROOMS) if path == room.path or path.startswith(f"{room.path}/"))
    return next((room.name for room in inside), "")
