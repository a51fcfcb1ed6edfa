"""What surrounds every page of the staff, and what their forms have in common."""

from typing import Any

from hansa.kernel.errors import BusinessError, Fault
from hansa.services.users.contract import Users
from hansa.web.admin.rooms import room_at, rooms_of
from hansa.web.forms import Form
from hansa.web.pages import kind_of
from hansa.web.visit import Shown, Visit

LONGEST_KEY = 80


async def shown(visit: Visit, template: str, *, status: int = 200, **context: Any) -> Shown:
    """A page within the shell. `key` is for a form that is to act once."""
    around = {
        "rooms": rooms_of(visit.site),
        "room": room_at(visit.path),
        "staff_name": await _name(visit),
        "key": visit.ids.token(),
        "saved": bool(visit.query.get("saved")),
        "wrong": {},
        "failed": "",
    }
    return Shown(template=f"admin/{template}", context={**around, **context}, status=status, is_indexed=False)


async def problem(visit: Visit, status: int, text: str) -> Shown:
    """What went wrong, within the shell, and the way back to the room it went wrong in.

    What an error says of things that are not there is written for shoppers, so it is not repeated here.
    """
    kind = kind_of(status)
    rooms = {room.name: room for room in rooms_of(visit.site)}
    room = rooms.get(room_at(visit.path))
    back = room if room and room.path != visit.path else rooms["start"]
    return await shown(
        visit,
        "error.html",
        status=status,
        title=visit.say(f"problem.{kind}.title"),
        text=text if text and kind == "refused" else visit.say(f"staff_problem.{kind}"),
        back=back,
    )


async def _name(visit: Visit) -> str:
    """What the member of staff is called; nothing while users cannot be asked, for the page must still be shown."""
    try:
        user = await visit.client(Users).get(user_id=visit.who.member or "")
    except (BusinessError, Fault):
        return ""
    return user.name or user.email


def key_of(visit: Visit, form: Form, act: str) -> str:
    """The idempotency key of a form: the same form acts once, and nobody else's key is the same."""
    return f"page:{act}:{visit.who.member}:{form.get('key')[:LONGEST_KEY] or visit.ids.token()}"


def reason_of(visit: Visit, error: BusinessError) -> str:
    """What an error means, in the language of the page."""
    text = visit.say_or(f"errors.{error.code}", "") or visit.say_or(f"staff_errors.{error.code}", "")
    return text or error.title()
