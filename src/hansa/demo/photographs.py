"""The demo's photos: which there are, where they come from, and under which addresses the shop shows them."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hansa.platform.files import names

PHOTOS = Path(__file__).with_name("photos")
MANIFEST = PHOTOS / "manifest.csv"


@dataclass(frozen=True, kw_only=True)
class Photograph:
    """A line of the manifest: what the photo is called, whose it is, and how it was cut out of the source."""

    photo: str
    product: str
    source: str
    left: int
    top: int
    width: int
    address: str
    """The name under which the shop keeps its widest JPEG."""

    @property
    def url(self) -> str:
        return f"{names.FOLDER}{self.address}"


def photographs() -> Sequence[Photograph]:
    """All photos, in the order of the manifest."""
    with MANIFEST.open(encoding="utf-8", newline="") as file:
        return [
            Photograph(
                photo=row["photo"],
                product=row["product"],
                source=row["source"],
                left=int(row["left"]),
                top=int(row["top"]),
                width=int(row["width"]),
                address=row["address"],
            )
            for row in csv.DictReader(file)
        ]


def files(photo: str, address: str) -> dict[str, Path]:
    """Where each form of a photo lies, by the name under which the shop keeps it."""
    return {name: PHOTOS / (photo + name.removeprefix(address.removesuffix(".jpg"))) for name in names.forms(address)}


def contents() -> dict[str, bytes]:
    """Every form of every photo, by the name under which the shop keeps it."""
    return {name: path.read_bytes() for each in photographs() for name, path in files(each.photo, each.address).items()}


def url(photo: str) -> str:
    """The address of a photo by its name, for those that show it elsewhere than with its product."""
    return next(each.url for each in photographs() if each.photo == photo)
