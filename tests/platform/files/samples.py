"""Pictures of every kind for tests, and what is wrong with some of them."""

import struct
import zlib
from io import BytesIO
from typing import Any

from PIL import Image

GPS_FOLDER, ORIENTATION, GPS_LATITUDE = 0x8825, 0x0112, 2


def halves(width: int = 60, height: int = 40, *, mode: str = "RGB") -> Image.Image:
    """Red on the left and blue on the right."""
    image = Image.new("RGB", (width, height), "red")
    image.paste((0, 0, 255), (width // 2, 0, width, height))
    return image.convert(mode)


def encoded(image: Image.Image, format: str = "JPEG", **options: Any) -> bytes:
    out = BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def located(*, orientation: int = 1) -> bytes:
    """A JPEG that says where it was taken, how the camera was held, and more."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    exif.get_ifd(GPS_FOLDER)[GPS_LATITUDE] = (59.0, 26.0, 14.0)
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">taken at the kitchen table</x:xmpmeta>'
    return encoded(halves(), exif=exif, xmp=xmp, comment=b"by Ada", quality=95)


def claiming(width: int, height: int) -> bytes:
    """A PNG of some 60 bytes that claims a size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(b"")) + _chunk(b"IEND", b"")


def claiming_webp(width: int, height: int) -> bytes:
    """A WebP of some 40 bytes that claims a size."""
    sizes = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = (
        b"WEBPVP8X"
        + struct.pack("<I", 10)
        + bytes(4)
        + sizes
        + b"VP8L"
        + struct.pack("<I", 6)
        + b"\x2f\xff\xff\xff\x0f\0"
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def shown(content: bytes) -> Image.Image:
    image = Image.open(BytesIO(content))
    image.load()
    return image


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
