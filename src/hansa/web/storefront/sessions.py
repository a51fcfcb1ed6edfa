"""Signing in and up, and out: a session's token lives in a cookie that no script can read."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from starlette.responses import RedirectResponse, Response

from hansa.kernel.address import Email
from hansa.kernel.errors import BusinessError, Fault, IdempotencyKeyReused
from hansa.services.carts.contract import Carts
from hansa.services.users.contract import (
    EmailTaken,
    GivenPassword,
    PasswordUnfit,
    PersonName,
    Session,
    TooBusy,
    TooManyAttempts,
    Users,
    WrongCredentials,
)
from hansa.web.forms import Form, inside, key_of
from hansa.web.pages import CART, SESSION, Book, Page
from hansa.web.storefront.shell import shown
from hansa.web.visit import Moved, Shown, Visit

SIGN_IN, SIGN_UP = "sign_in.html", "sign_up.html"
REFUSED = 422
"""The form was understood, and the answer is no. (401 is for clients that have a way to show who they are.)"""
TAKEN = 409
TOO_MANY = 429
Problems = Mapping[str, str]


def pages() -> Sequence[Page]:
    book = Book()

    @book.personal("sign-in")
    async def sign_in_form(visit: Visit) -> Shown | Moved:
        goal = _goal(visit, visit.query.get("next", ""))
        return Moved(to=goal) if visit.who.principal else await _form(visit, SIGN_IN, goal)

    @book.personal("sign-up")
    async def sign_up_form(visit: Visit) -> Shown | Moved:
        goal = _goal(visit, visit.query.get("next", ""))
        return Moved(to=goal) if visit.who.principal else await _form(visit, SIGN_UP, goal)

    @book.act("sign-in")
    async def sign_in(visit: Visit, form: Form) -> Shown | Moved:
        goal = _goal(visit, form.get("next"))
        try:
            session = await _session(visit, email=form.get("email"), password=form.raw("password"))
        except WrongCredentials as error:
            return await _form(visit, SIGN_IN, goal, form, {"email": said(visit, error)}, REFUSED)
        except (TooManyAttempts, TooBusy) as error:
            return await _form(visit, SIGN_IN, goal, form, {"": said(visit, error)}, TOO_MANY)
        await _welcome(visit, session)
        return Moved(to=goal)

    @book.act("sign-up")
    async def sign_up(visit: Visit, form: Form) -> Shown | Moved:
        goal = _goal(visit, form.get("next"))
        email, name, password = form.get("email"), " ".join(form.get("name").split()), form.raw("password")
        problems = {}
        if not fits(email, Email):
            problems["email"] = visit.say("sign_up.wrong.email")
        if not fits(name, PersonName):
            problems["name"] = visit.say("sign_up.wrong.name")
        if problems:
            return await _form(visit, SIGN_UP, goal, form, problems, REFUSED)
        # Sent twice, it makes one account; sent again with another address or name, it is another form.
        key = key_of(form, what="sign-up", who=f"{email}\x1f{name}")
        try:
            await visit.client(Users).register(key=key, email=email, password=password, name=name, locale=visit.locale)
            session = await _session(visit, email=email, password=password)
        except PasswordUnfit as error:
            return await _form(visit, SIGN_UP, goal, form, {"password": said(visit, error)}, REFUSED)
        except (EmailTaken, IdempotencyKeyReused, WrongCredentials):
            return await _form(visit, SIGN_UP, goal, form, {"email": said(visit, EmailTaken())}, TAKEN)
        except (TooManyAttempts, TooBusy) as error:
            return await _form(visit, SIGN_UP, goal, form, {"": said(visit, error)}, TOO_MANY)
        await _welcome(visit, session)
        return Moved(to=goal)

    @book.act("sign-out")
    async def sign_out(visit: Visit, form: Form) -> Response:
        token = visit.who.token
        if token:
            await visit.client(Users).sign_out(key=visit.ids.token(), token=token)
        visit.who.cookies[SESSION] = ""
        # The browser forgets what it kept for the way back: it may be somebody else's turn.
        return RedirectResponse(visit.url(), 303, {"clear-site-data": '"cache"'})

    return book.pages


def said(visit: Visit, error: BusinessError) -> str:
    """An error in words; one that passes says in how many minutes."""
    if isinstance(error, TooManyAttempts):
        return visit.say(f"errors.{error.code}", count=max(1, -(-error.retry_after_s // 60)))
    return visit.say(f"errors.{error.code}")


def fits(value: str, type_: Any) -> bool:
    """Whether a value is what a contract's type demands."""
    try:
        msgspec.convert(value, type_)
    except msgspec.ValidationError:
        return False
    return True


def _goal(visit: Visit, path: str) -> str:
    return inside(path, default=visit.url("account"))


async def _form(
    visit: Visit,
    template: str,
    goal: str,
    form: Form | None = None,
    problems: Problems | None = None,
    status: int = 200,
) -> Shown:
    """The form, with what was filled in but the password."""
    form = form or Form()
    context: dict[str, Any] = {
        "goal": goal,
        "email": form.get("email"),
        "name": form.get("name"),
        "problems": problems or {},
        "key": visit.ids.token(),
    }
    return await shown(visit, template, status=status, is_indexed=False, **context)


async def _session(visit: Visit, *, email: str, password: str) -> Session:
    """A new session: its token never is one that the browser had before. Raises what sign_in raises."""
    if not fits(email, Email) or not fits(password, GivenPassword):
        raise WrongCredentials()
    return await visit.client(Users).sign_in(
        key=visit.ids.token(), email=email, password=password, remote=visit.who.remote
    )


async def _welcome(visit: Visit, session: Session) -> None:
    """Hand out the session's cookie; what the guest has put into the cart becomes the member's."""
    visit.who.cookies[SESSION] = session.token
    cart, member = visit.who.cart, session.user.id
    if not cart:
        return
    try:
        await visit.client(Carts).claim(
            key=key_of(Form([("key", cart)]), what="claim", who=member), cart=cart, member=member, locale=visit.locale
        )
    except BusinessError:
        pass  # it is nobody's cart any more, or somebody else's
    except Fault:
        return  # whoever is signed in stays so, and the cart is claimed at the next sign-in
    visit.who.cookies[CART] = ""
