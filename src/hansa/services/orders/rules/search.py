"""What staff mean when they look for orders: a number as it stands on a mail, and a span of time."""

from datetime import datetime, timedelta

import msgspec

from hansa.kernel.ids import EPOCH, LARGEST, is_id, order_number, split_name

DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Of Crockford's base32; what he has read as others: O is 0, I and L are 1."""
MISREAD = str.maketrans("OIL", "011")
NUMBER_LENGTH = 13
"""Of an order number without its check character."""
_MILLISECOND = timedelta(milliseconds=1)
_BITS_BELOW_MILLISECOND = 22


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """Orders between two ids, neither of them included: ids begin with the moment of their making."""

    after: int = 0
    before: int = LARGEST

    def narrowed(self, *, after: int = 0, before: int = LARGEST) -> "Span":
        """What lies in both."""
        return Span(after=max(self.after, after), before=min(self.before, before))


def span(*, q: str | None, since: datetime | None, until: datetime | None) -> Span:
    """Where the orders lie that were made from one moment on and before another, or the one that `q` names."""
    wanted = Span()
    if since is not None:
        wanted = wanted.narrowed(after=_first_id(since) - 1)
    if until is not None:
        wanted = wanted.narrowed(before=_first_id(until))
    if q is not None and q.strip():
        named = order_named(q) or 0
        wanted = wanted.narrowed(after=named - 1, before=named + 1)
    return wanted


def order_named(text: str) -> int | None:
    """The id of the order that a text names: by its number, with or without hyphens, blanks and check character, by its
    id, or by a guest's name for it. None if it cannot be one, or the check character says that it is mistyped."""
    text = text.strip()
    plain = "".join(text.split()).replace("-", "").upper().translate(MISREAD)
    if NUMBER_LENGTH <= len(plain) <= NUMBER_LENGTH + 1:
        return _of_number(plain[:NUMBER_LENGTH], check=plain[NUMBER_LENGTH:])
    name = split_name(text)
    return int(name[0]) if name is not None and is_id(name[0]) else None


def _of_number(digits: str, *, check: str) -> int | None:
    value = 0
    for digit in digits:
        if (place := DIGITS.find(digit)) < 0:
            return None
        value = value * len(DIGITS) + place
    if not 0 < value <= LARGEST:
        return None
    right = order_number(str(value))[-1]
    return value if check in ("", right) else None


def _first_id(moment: datetime) -> int:
    """The smallest id of the moment's millisecond; those before there were ids, and after, are as good as none."""
    milliseconds = (moment - EPOCH) // _MILLISECOND
    return min(max(milliseconds, 0) << _BITS_BELOW_MILLISECOND, LARGEST)
