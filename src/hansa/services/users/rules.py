"""What is true of accounts and sessions: spellings of e-mail addresses, fit passwords, tokens and their ages."""

import hashlib
import hmac
import unicodedata
from base64 import urlsafe_b64encode
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address

import msgspec

from hansa.kernel.ids import guest_name
from hansa.kernel.principal import STAFF
from hansa.services.users.contract import PasswordUnfit

SHORTEST_PASSWORD = 8
LONGEST_PASSWORD = 256
CUSTOMER_SESSION = timedelta(days=30)
STAFF_SESSION = timedelta(hours=12)


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


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).strip()


def _ascii_domain(domain: str) -> str:
    """The domain as the DNS knows it (RFC 3490). What cannot be a domain stays as it is."""
    try:
        return domain.encode("idna").decode("ascii")
    except UnicodeError:
        return domain
