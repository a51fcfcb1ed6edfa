"""What is true of accounts and sessions: spellings of e-mail addresses, fit passwords, tokens and their ages; which
address is the default, what is allowed, and how much of a person the staff sees."""

import hashlib
import hmac
import unicodedata
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Protocol, get_args

import msgspec

from hansa.kernel.ids import guest_name
from hansa.kernel.principal import STAFF
from hansa.services.users.contract import MOST_ADDRESSES, Consent, PasswordUnfit, Purpose

SHORTEST_PASSWORD = 8
LONGEST_PASSWORD = 256
CUSTOMER_SESSION = timedelta(days=30)
STAFF_SESSION = timedelta(hours=12)
MOST_INITIALS = 3
UNKNOWN = "-"
"""Stands for what is masked of nothing: a name that was never given, or somebody who was erased."""


class InBook(Protocol):
    """An address in its book, whatever it says."""

    @property
    def saved_id(self) -> str: ...

    @property
    def is_default(self) -> bool: ...


def normalised_email(email: str) -> str:
    """The one spelling by which an address is found: letter case, width and the domain's script do not matter."""
    local, _, domain = _folded(email).rpartition("@")
    return f"{local}@{_ascii_domain(domain)}"


def check_password(*, password: str, email: str) -> None:
    """Raises PasswordUnfit."""
    is_long_enough = SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD
    if not is_long_enough or _folded(password) in (_folded(email), normalised_email(email)):
        raise PasswordUnfit()


def session_length(roles: tuple[str, ...]) -> timedelta:
    """Who may do more is asked for the password more often."""
    return STAFF_SESSION if STAFF in roles else CUSTOMER_SESSION


def token(*, secret: bytes, session_id: str, user_id: str, key: str) -> str:
    """A session's token. It is derived, so that a repeated sign-in gives it again although only its hash is kept;
    it begins with the session's id, so that it routes itself."""
    derived = hmac.digest(secret, msgspec.msgpack.encode((session_id, user_id, key)), "sha256")
    return guest_name(session_id, urlsafe_b64encode(derived).decode().rstrip("="))


def token_hash(token: str) -> str:
    """What is kept of a token: 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()


def is_same(kept: str, given: str) -> bool:
    """Compared in a time that tells nothing of where they differ."""
    return hmac.compare_digest(kept, given)


def place(remote: str) -> str:
    """Where failures from an address are counted. One host may have a whole /64 of IPv6 addresses."""
    try:
        address = ip_address(remote)
    except ValueError:
        return remote
    if isinstance(address, IPv4Address):
        return str(address)
    return str(address.ipv4_mapped or IPv6Address(int(address) >> 64 << 64))


def has_room(book: Sequence[InBook]) -> bool:
    return len(book) < MOST_ADDRESSES


def stays_default(book: Sequence[InBook], *, saved_id: str) -> bool:
    """Whether an address is the default without being asked to: it is already, or there is no other."""
    return all(kept.saved_id == saved_id for kept in book if kept.is_default)


def heir(left: Sequence[InBook]) -> str | None:
    """Which address becomes the default after one was taken out: none if there is one still, else the oldest."""
    if not left or any(kept.is_default for kept in left):
        return None
    return min((kept.saved_id for kept in left), key=int)


def every_consent(said: Mapping[str, Consent]) -> tuple[Consent, ...]:
    """One for each purpose: what was not asked for is not allowed."""
    purposes: tuple[Purpose, ...] = get_args(Purpose)
    return tuple(said.get(purpose, Consent(purpose=purpose, given=False, at=None)) for purpose in purposes)


def masked_email(email: str) -> str:
    """Enough to tell two people apart who are on the telephone, and not enough to write to them: "a***@e***.com"."""
    local, _, domain = email.rpartition("@")
    host, _, top = domain.rpartition(".")
    return f"{local[:1]}***@{host[:1]}***.{top}"


def masked_name(name: str) -> str:
    """The initials: "A. L."; of a name in one word its first character."""
    return " ".join(f"{word[0]}." for word in name.split()[:MOST_INITIALS]) or UNKNOWN


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).strip()


def _ascii_domain(domain: str) -> str:
    """The domain as the DNS knows it (RFC 3490). What cannot be a domain stays as it is."""
    try:
        return domain.encode("idna").decode("ascii")
    except UnicodeError:
        return domain
