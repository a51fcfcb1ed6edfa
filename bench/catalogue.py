"""What is sold in a run: the demo's clothes, 1,000 variants made for orders, and 19,406 real products to search in."""

import gzip
from collections.abc import Sequence
from pathlib import Path

import msgspec

ICECAT = Path(__file__).resolve().parents[1] / "tests" / "data" / "icecat" / "products.jsonl.gz"
ICECAT_COUNT = 19_406
VARIANTS = 1_000
PIECES = 1_000_000
"""Of each variant: nothing is sold out but in the flash sale."""


FLASH_SKUS = tuple(f"FLASH-{number}" for number in range(6))
"""One for each flash sale of a run."""
FLASH_PIECES = 100


def skus(count: int = VARIANTS) -> Sequence[str]:
    """The variants made for orders."""
    return [f"BENCH-{number}" for number in range(count)]


def write_catalogue(file: Path, *, count: int = VARIANTS) -> None:
    """The products of these variants, as `hansa import` takes them."""
    with file.open("wb") as target:
        for number, sku in enumerate([*skus(count), *FLASH_SKUS]):
            product = {
                "slug": f"bench-{number}",
                "texts": {"en": {"name": f"Plain shirt number {number}"}},
                "variants": [
                    {"sku": sku, "prices": [{"amount": 2_000 + number, "currency": "USD"}], "weight_grams": 200}
                ],
                "stock": {sku: FLASH_PIECES if sku in FLASH_SKUS else PIECES},
            }
            target.write(msgspec.json.encode(product) + b"\n")


def icecat_names() -> list[str]:
    """What the 19,406 products are called."""

    class Line(msgspec.Struct):
        title: str

    decoder = msgspec.json.Decoder(Line)
    with gzip.open(ICECAT) as lines:
        return [decoder.decode(line).title for line in lines]
