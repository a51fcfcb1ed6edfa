"""What must never stand in a log: personal data and secrets, told by the name of a field or by the look of a text."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from hansa.kernel.clock import Clock
from hansa.kernel.ids import is_id, moment_of

MASK = "[masked]"
LONGEST_TEXT = 16_384
"""Characters kept of one text; a longer one is cut before it is searched."""
DEEPEST = 8
MOST_ITEMS = 200
"""Items shown of one list or mapping."""

_WORDS_OF_NAMES = """
    address addresses authorization birthday cookie cookies credential credentials cvc cvv email emails iban passwd
    password passwords passphrase phone phones secret secrets signature token tokens vat
"""
DENIED_WORDS = frozenset(_WORDS_OF_NAMES.split())
"""A field is masked if one of these is a word of its name: `shipping_address`, `resetToken`."""
_WHOLE_NAMES = """
    api_key birth_date card card_number city company contact customer_name display_name district first_name full_name
    given_name family_name last_name line1 line2 mail master_key mobile name pan postal_code private_key recipient
    session session_key set_cookie surname tax_id user_name username zip
"""
DENIED_NAMES = frozenset(_WHOLE_NAMES.split())
"""Fields whose whole name is one of these; as words they would hide too much (`file_name`, `session_count`)."""

_WORDS = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z0-9]+(?![a-z])")
_EMAIL = re.compile(r"(?<![\w.!#$%&'*+/=?^{|}~-])[\w.!#$%&'*+/=?^{|}~-]+@[\w-]+(?:\.[\w-]+)+")
# Cards are printed in groups of three and more; a row of smaller ones would only cost time.
_DIGITS = re.compile(r"(?<!\d)\d{3,}(?:[ -]\d{3,})*(?!\d)")
_CREDENTIAL = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]+")
_ADDRESS_LOGIN = re.compile(r"://[^/\s@]+@")
_ASSIGNED = re.compile(
    r"(?i)(?<![\w-])([\w-]*(?:password|passwd|secret|token|authorization|cookie|api_key|signature))"
    r"(\"?\s*[=:]\s*\"?)(?!\[masked\])[^\s&;,\"]+"
)
_SHORTEST_CARD = 13
_LONGEST_CARD = 19
_SHORTEST_ID = 18


class Privacy:
    """Masks what is personal. Cards are told from the shop's own ids, which are as long, by the time in the id."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock

    def of_mapping(self, values: Mapping[Any, Any], depth: int = 0) -> dict[str, Any]:
        """The same fields with what must not be seen masked, in lists and mappings within them too."""
        shown: dict[str, Any] = {}
        for name, value in list(values.items())[:MOST_ITEMS]:
            field = str(name)
            shown[field] = MASK if is_denied(name=field) and value not in (None, "") else self.of_value(value, depth)
        return shown

    def of_value(self, value: Any, depth: int = 0) -> Any:
        """A value as it may be seen; what is not plain data becomes text."""
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if isinstance(value, str):
            return self.of_text(value)
        if depth >= DEEPEST:
            return "…"
        if isinstance(value, Mapping):
            return self.of_mapping(value, depth + 1)
        if isinstance(value, (Sequence, set, frozenset)) and not isinstance(value, (bytes, bytearray)):
            return [self.of_value(item, depth + 1) for item in list(value)[:MOST_ITEMS]]
        return self._of_object(value, depth)

    def of_text(self, text: str) -> str:
        """A text with e-mail addresses, card numbers and credentials masked."""
        shown = text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + "…"
        if "@" in shown:
            shown = _ADDRESS_LOGIN.sub(f"://{MASK}@", shown)
            shown = _EMAIL.sub(MASK, shown)
        shown = _CREDENTIAL.sub(rf"\1 {MASK}", shown)
        if "=" in shown or ":" in shown:
            shown = _ASSIGNED.sub(rf"\1\2{MASK}", shown)
        return _DIGITS.sub(self._of_digits, shown)

    def _of_object(self, value: Any, depth: int) -> Any:
        if isinstance(value, msgspec.Struct) or hasattr(value, "__dataclass_fields__"):
            names = getattr(value, "__struct_fields__", None) or value.__dataclass_fields__
            return self.of_mapping({name: getattr(value, name, None) for name in names}, depth + 1)
        return self.of_text(str(value))

    def _of_digits(self, match: "re.Match[str]") -> str:
        """Mask each card number in a row of groups of digits; what stands before or after one must not hide it."""
        text = match.group()
        if len(text) < _SHORTEST_CARD or self._is_own_id(text):
            return text
        groups = list(re.finditer(r"\d+", text))
        shown, position, first = "", 0, 0
        while first < len(groups):
            if last := _card_end(groups, first):
                shown += text[position : groups[first].start()] + MASK
                position, first = groups[last - 1].end(), last
            else:
                first += 1
        return shown + text[position:]

    def _is_own_id(self, text: str) -> bool:
        return len(text) >= _SHORTEST_ID and is_id(text) and moment_of(text) <= self._clock.now()


def _card_end(groups: "list[re.Match[str]]", first: int) -> int:
    """The group before which a card number ends that begins at the first one; 0 if none does."""
    digits = ""
    for index in range(first, len(groups)):
        digits += groups[index].group()
        if len(digits) > _LONGEST_CARD:
            return 0
        if len(digits) >= _SHORTEST_CARD and passes_luhn(digits=digits):
            return index + 1
    return 0


def is_denied(*, name: str) -> bool:
    """Whether a field of this name is never shown."""
    words = [word.lower() for word in _WORDS.findall(name)]
    return "_".join(words) in DENIED_NAMES or not DENIED_WORDS.isdisjoint(words)


def passes_luhn(*, digits: str) -> bool:
    """The check digit of payment cards (ISO/IEC 7812-1, annex B)."""
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(doubled) + sum(int(digit) for digit in digits[-1::-2])) % 10 == 0
