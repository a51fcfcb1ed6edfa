"""What is read: as many values as a shop's hot products, each about as large as one."""

import msgspec

KEYS = 500
SENTENCE = "A cap of eight panels, lined, with a short brim. "


class Goods(msgspec.Struct, frozen=True, kw_only=True):
    """A value of about 900 bytes of JSON."""

    id: str
    name: str
    description: str
    skus: tuple[str, ...]


def goods_of(number: int) -> Goods:
    return Goods(
        id=str(383_228_761_576_737_792 + number),
        name=f"Cap number {number}",
        description=SENTENCE * 15,
        skus=tuple(f"CAP-{number}-{size}" for size in "SML"),
    )
