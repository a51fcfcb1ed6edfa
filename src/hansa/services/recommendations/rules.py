"""What may be kept of what visitors do: what says something, and nothing that says who they are."""

import hashlib
import hmac
import re
import unicodedata
from base64 import urlsafe_b64encode
from datetime import datetime
from ipaddress import IPv6Address, ip_address

from hansa.kernel.ids import is_id
from hansa.services.recommendations.contract import LONGEST_QUERY, Behaviour

HASH_BYTES = 16

_EMAIL = re.compile(r"\S\s?@\s?\S")
_NUMBER = re.compile(r"\d{7,}|(?:\d[\s().\-/+_]*){9,}|\d{1,3}(?:\.\d{1,3}){3}")
"""Seven digits in a row, or nine with what people write between the digits of telephones and cards (sizes and years
in a search are shorter); or an address of the internet."""


def pseudonym_label(*, now: datetime) -> str:
    """The purpose of the key that hides visitors; another one each month, so that nobody is followed for longer."""
    return f"recommendations.visitors.{now:%Y-%m}"


def visitor_hash(*, visitor: str, secret: bytes) -> str:
    """What is kept of a visitor."""
    digest = hmac.digest(secret, visitor.encode(), "sha256")[:HASH_BYTES]
    return urlsafe_b64encode(digest).decode().rstrip("=")


def batch_name(key: str) -> str:
    """What a batch is recognised by when it comes again."""
    return hashlib.blake2b(key.encode(), digest_size=12).hexdigest()


def place(remote: str) -> str:
    """Where batches from an address are counted. One host may have a whole /64 of IPv6 addresses."""
    try:
        address = ip_address(remote)
    except ValueError:
        return remote
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return str(int(address) >> 64)
    return str(getattr(address, "ipv4_mapped", None) or address)


def safe_query(query: str | None) -> str | None:
    """A search in plain form, or None if nothing is left of it or it may say who somebody is."""
    if query is None:
        return None
    plain = unicodedata.normalize("NFKC", query)
    kept = "".join(each if each.isprintable() else " " for each in plain if unicodedata.category(each) != "Cf")
    text = " ".join(kept.split())
    if not text or _EMAIL.search(text) or _NUMBER.search(text):
        return None
    return text[:LONGEST_QUERY].strip()


def says_enough(behaviour: Behaviour, *, query: str | None) -> bool:
    """Whether something can be learned from it, given what is kept of its query. A forged id is a product of nobody."""
    if behaviour.product_id is not None and not is_id(behaviour.product_id):
        return False
    if behaviour.kind == "search":
        return query is not None
    has_product = any((behaviour.product_id, behaviour.slug, behaviour.sku))
    return has_product or (behaviour.kind == "view" and behaviour.page is not None)
