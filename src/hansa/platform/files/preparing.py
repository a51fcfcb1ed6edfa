"""From bytes of anywhere to a picture that is safe to show: decoded, turned upright, in sRGB, small, and without a word
about where and by whom it was taken.

Everything is encoded anew, so nothing of the original's bytes is passed on: no metadata, no second file hidden in it.
"""

from io import BytesIO
from typing import Any

import msgspec
from PIL import Image, ImageCms, UnidentifiedImageError

from hansa.platform.files import names
from hansa.platform.files.port import NotAPicture, TooLarge

LARGEST_BYTES = 10_000_000
MOST_PIXELS = 40_000_000
MOST_SCANS = 50
"""Passes of a progressive JPEG, which usually has ten. Each costs as much as the whole picture."""
LARGEST_PROFILE = 1_000_000
FORMATS = ("JPEG", "PNG", "WEBP")
JPEG_QUALITY = 75
WEBP_QUALITY = 70
WHITE = (255, 255, 255)
_ORIENTATION = 0x0112
_START_OF_SCAN = b"\xff\xda"
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each value of EXIF's orientation (CIPA DC-008, 4.6.5.1)."""
_LYING = frozenset({5, 6, 7, 8})
_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A picture in all its forms, by name; `width` and `height` are the widest form's."""

    address: str
    width: int
    height: int
    contents: dict[str, bytes]

    @property
    def url(self) -> str:
        return f"{names.FOLDER}{self.address}"


def prepare(data: bytes) -> Prepared:
    """All forms of the picture in `data`: JPEG, PNG or WebP, whatever it calls itself; of several frames the first.

    Raises NotAPicture, TooLarge. Takes up to a second of CPU: call it in a thread.
    """
    if len(data) > LARGEST_BYTES:
        raise TooLarge()
    try:
        image = _decoded(data)
    except (NotAPicture, TooLarge):
        raise
    except Image.DecompressionBombError as error:
        raise TooLarge() from error
    except UnidentifiedImageError as error:
        raise NotAPicture("it is neither JPEG nor PNG nor WebP") from error
    except Exception as error:  # decoders fail in more ways than they declare
        raise NotAPicture("it is damaged or broken off") from error
    return _encoded(image)


def check(contents: dict[str, bytes]) -> None:
    """Raises ValueError unless these are all forms of whole pictures, each with the content that its name says."""
    wanted: set[str] = set()
    for name, content in contents.items():
        said = names.read(name)
        if said is None:
            raise ValueError(f"{name!r} is not the name of a picture")
        with Image.open(BytesIO(content), formats=("JPEG", "WEBP")) as opened:
            shown = (*opened.size, names.JPEG if opened.format == "JPEG" else names.WEBP)
        if shown != (said.width, said.height, said.kind):
            raise ValueError(f"{name} holds {shown}")
        if name == said.address:
            if names.digest_of(content) != said.digest:
                raise ValueError(f"{name} has another digest")
            wanted.update(names.forms(name))
    if wanted != contents.keys():
        raise ValueError(f"missing or too much: {sorted(wanted ^ contents.keys())}")


def _decoded(data: bytes) -> Image.Image:
    """The first frame, upright, in sRGB, flattened on white, no larger than the widest form; nothing else of it."""
    with Image.open(BytesIO(data), formats=FORMATS) as opened:
        if opened.width * opened.height > MOST_PIXELS:
            raise TooLarge()
        is_jpeg = data.startswith(b"\xff\xd8")
        if is_jpeg and data.count(_START_OF_SCAN) > MOST_SCANS:
            raise NotAPicture("it is a JPEG of too many passes")
        orientation = _orientation(opened)
        size = _fitted(*opened.size, is_lying=orientation in _LYING)
        if is_jpeg:
            # Lets the decoder leave out detail that would be thrown away anyway.
            opened.draft(None, (2 * size[0], 2 * size[1]))
        opened.load()
        profile = opened.info.get("icc_profile", b"")
        small = _resizable(opened).resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    flat = _in_srgb(_flattened(small), profile)
    upright = flat.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else flat
    bare = Image.new("RGB", upright.size)  # a fresh one, because the other still bears what was said of it
    bare.paste(upright)
    return bare


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # nonsense there is no reason to refuse a picture that can be seen
        return 1


def _fitted(width: int, height: int, *, is_lying: bool) -> tuple[int, int]:
    """The size of the widest form as it lies in the file: never larger than the picture is."""
    widest, highest = (names.HIGHEST, names.WIDEST) if is_lying else (names.WIDEST, names.HIGHEST)
    factor = min(1.0, widest / width, highest / height)
    return min(widest, max(1, round(width * factor))), min(highest, max(1, round(height * factor)))


def _resizable(image: Image.Image) -> Image.Image:
    """In a mode whose pixels can be mixed."""
    if image.mode in ("RGB", "L") and "transparency" in image.info:
        return image.convert("RGBA")
    if image.mode in ("RGB", "RGBA", "L", "CMYK"):
        return image
    if image.mode.startswith("I"):  # 16 bits of grey
        return image.point(lambda value: value * (1 / 256)).convert("L")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _flattened(image: Image.Image) -> Image.Image:
    if image.mode != "RGBA":
        return image
    ground = Image.new("RGB", image.size, WHITE)
    ground.paste(image, mask=image.getchannel("A"))
    return ground


def _in_srgb(image: Image.Image, profile: Any) -> Image.Image:
    """Converted from its colour profile, where it has one that means something; else taken for sRGB."""
    if isinstance(profile, bytes) and 0 < len(profile) <= LARGEST_PROFILE:
        try:
            source = ImageCms.ImageCmsProfile(BytesIO(profile))
            converted = ImageCms.profileToProfile(image, source, _SRGB, outputMode="RGB")
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            converted = None
        if converted is not None:
            return converted
    return image.convert("RGB")


def _encoded(image: Image.Image) -> Prepared:
    width, height = image.size
    widest = _saved(image, names.JPEG)
    address = names.address(digest=names.digest_of(widest), width=width, height=height)
    contents = {address: widest}
    for each in names.widths(width):
        size = (each, names.scaled(width=width, height=height, to=each))
        smaller = image if each == width else image.resize(size, Image.Resampling.LANCZOS)
        for kind in (names.JPEG, names.WEBP):
            name = names.form(address, width=each, kind=kind)
            if name not in contents:
                contents[name] = _saved(smaller, kind)
    return Prepared(address=address, width=width, height=height, contents=contents)


def _saved(image: Image.Image, kind: str) -> bytes:
    out = BytesIO()
    if kind == names.JPEG:
        image.save(out, "JPEG", quality=JPEG_QUALITY, progressive=True, optimize=True)
    else:
        image.save(out, "WEBP", quality=WEBP_QUALITY, method=4)
    return out.getvalue()
