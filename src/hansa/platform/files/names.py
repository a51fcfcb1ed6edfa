"""What pictures are called: a name says which content it is, how large, and which forms there are.

`/media/<digest>-<W>x<H>.jpg` is the address of a picture: its widest form as JPEG, W by H pixels. The digest is that
file's own (BLAKE2b, 128 bits), so an address always means the same bytes. Beside it lie `…-<W>x<H>-<width>.jpg` for
each smaller width and `…-<W>x<H>-<width>.webp` for each width, W included; H shrinks in proportion. So pages know which
forms there are, and how much room to leave, from the address alone.
"""

import hashlib
import re
from typing import NamedTuple

import msgspec

WIDTHS = (320, 640, 960)
"""The widths of forms; a narrower picture's widest form has its own width."""
WIDEST = WIDTHS[-1]
HIGHEST = 4 * WIDEST
"""What is longer than four times as high as wide is made narrower, so that every form can be encoded."""
FOLDER = "/media/"
JPEG, WEBP = "jpg", "webp"
CONTENT_TYPES = {JPEG: "image/jpeg", WEBP: "image/webp"}
_NAME = re.compile(
    r"([0-9a-f]{32})-([1-9][0-9]{0,3})x([1-9][0-9]{0,3})(?:\.(jpg)|-([1-9][0-9]{0,3})\.(jpg|webp))", re.ASCII
)


class Name(msgspec.Struct, frozen=True, kw_only=True):
    """What the name of a file says: `width` and `height` are those of this form."""

    address: str
    """The name of the picture's widest JPEG."""
    digest: str
    width: int
    height: int
    kind: str


class Sources(NamedTuple):
    """What an `img` and its `source` need: two values of `srcset`, and the size in pixels of the widest form."""

    jpeg: str
    webp: str
    width: int
    height: int


def digest_of(content: bytes) -> str:
    """The digest that stands in the names of a picture whose widest JPEG this is."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def address(*, digest: str, width: int, height: int) -> str:
    """The name of the widest JPEG."""
    return f"{digest}-{width}x{height}.jpg"


def form(name: str, *, width: int, kind: str) -> str:
    """The name of a form of the picture that `name` is the address of."""
    return name if kind == JPEG and f"-{width}x" in name else f"{name.removesuffix('.jpg')}-{width}.{kind}"


def widths(width: int) -> tuple[int, ...]:
    """The widths of all forms of a picture whose widest form is `width` wide, ascending."""
    return (*(each for each in WIDTHS if each < width), width)


def forms(name: str) -> tuple[str, ...]:
    """The names of all forms of the picture that `name` is the address of, itself included."""
    said = read(name)
    if said is None or said.address != name:
        raise ValueError(f"{name!r} is not the address of a picture")
    return tuple(form(name, width=each, kind=kind) for each in widths(said.width) for kind in (JPEG, WEBP))


def scaled(*, width: int, height: int, to: int) -> int:
    """The height of a form that is `to` wide."""
    return max(1, round(height * to / width))


def read(name: str) -> Name | None:
    """What a name says, or None for what is none: at most one spelling names a file."""
    if (match := _NAME.fullmatch(name)) is None:
        return None
    digest, width, height = match[1], int(match[2]), int(match[3])
    if width > WIDEST or height > HIGHEST:
        return None
    its_address = address(digest=digest, width=width, height=height)
    if match[4]:
        return Name(address=its_address, digest=digest, width=width, height=height, kind=JPEG)
    of_form, kind = int(match[5]), match[6]
    if of_form not in widths(width) or form(its_address, width=of_form, kind=kind) != name:
        return None
    height = scaled(width=width, height=height, to=of_form)
    return Name(address=its_address, digest=digest, width=of_form, height=height, kind=kind)


def sources(url: str) -> Sources | None:
    """The forms of the picture at an address of this shop; None for an address of elsewhere."""
    name = url.removeprefix(FOLDER)
    said = read(name) if name != url else None
    if said is None or said.address != name:
        return None

    def srcset(kind: str) -> str:
        return ", ".join(f"{FOLDER}{form(name, width=each, kind=kind)} {each}w" for each in widths(said.width))

    return Sources(jpeg=srcset(JPEG), webp=srcset(WEBP), width=said.width, height=said.height)
