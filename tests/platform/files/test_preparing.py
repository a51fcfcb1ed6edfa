"""What becomes of pictures that people send, and which are refused."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from hansa.platform.files import names
from hansa.platform.files.port import NotAPicture, TooLarge
from hansa.platform.files.preparing import LARGEST_BYTES, MOST_SCANS, Prepared, check, prepare
from tests.platform.files import samples
from tests.platform.files.samples import claiming, claiming_webp, encoded, halves, located, shown

RED, BLUE, WHITE = (254, 0, 0), (0, 0, 254), (255, 255, 255)


def widest(prepared: Prepared) -> Image.Image:
    return shown(prepared.contents[prepared.address])


def colour(image: Image.Image, left: float, top: float = 0.5) -> tuple[int, ...]:
    found = image.convert("RGB").getpixel((int(image.width * left), int(image.height * top)))
    assert isinstance(found, tuple)
    return found


def is_near(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return all(abs(a - b) <= 12 for a, b in zip(one, other, strict=True))


def has_no_metadata(content: bytes) -> bool:
    image = shown(content)
    said = set(image.info) - {"jfif", "jfif_version", "jfif_unit", "jfif_density", "progression", "progressive"}
    # What WebP says of an animation, which every picture of one frame has as well.
    said -= {"loop", "background", "timestamp", "duration"}
    return not said and not image.getexif() and b"Exif" not in content and b"XMP" not in content


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_a_wide_picture_gets_three_widths_as_jpeg_and_webp(format: str):
    prepared = prepare(encoded(halves(2000, 1000), format))

    sizes = {name: (*shown(content).size, shown(content).format) for name, content in prepared.contents.items()}

    stem = prepared.address.removesuffix(".jpg")
    assert stem.endswith("-960x480")
    assert (prepared.url, prepared.width, prepared.height) == (f"/media/{prepared.address}", 960, 480)
    assert sizes == {
        f"{stem}.jpg": (960, 480, "JPEG"),
        f"{stem}-960.webp": (960, 480, "WEBP"),
        f"{stem}-640.jpg": (640, 320, "JPEG"),
        f"{stem}-640.webp": (640, 320, "WEBP"),
        f"{stem}-320.jpg": (320, 160, "JPEG"),
        f"{stem}-320.webp": (320, 160, "WEBP"),
    }


@pytest.mark.parametrize(("width", "widths"), [(1, {1}), (320, {320}), (400, {320, 400}), (700, {320, 640, 700})])
def test_a_narrow_picture_is_never_made_wider(width: int, widths: set[int]):
    prepared = prepare(encoded(halves(width, 10), "PNG"))

    assert {shown(content).width for content in prepared.contents.values()} == widths
    assert prepared.width == width


def test_a_picture_like_a_ribbon_is_made_small_enough_for_every_form():
    for image in (Image.new("L", (1, 100_000)), Image.new("L", (100_000, 1)), Image.new("L", (1, 1))):
        prepared = prepare(encoded(image, "PNG"))

        assert 1 <= prepared.width <= 960
        assert 1 <= prepared.height <= 3840


def test_the_same_picture_twice_has_one_address_and_another_one_another():
    assert prepare(located()) == prepare(located())
    assert prepare(located()).address != prepare(encoded(halves(61, 40))).address


def test_the_place_and_everything_else_that_was_said_of_a_picture_is_gone():
    sent = located()
    assert b"kitchen" in sent
    assert shown(sent).getexif().get_ifd(samples.GPS_FOLDER)

    prepared = prepare(sent)

    assert all(has_no_metadata(content) for content in prepared.contents.values())
    assert not any(b"kitchen" in content or b"Ada" in content for content in prepared.contents.values())


@pytest.mark.parametrize(
    ("orientation", "size", "red_is_at"),
    [
        (1, (60, 40), (0.1, 0.5)),
        (2, (60, 40), (0.9, 0.5)),
        (3, (60, 40), (0.9, 0.5)),
        (4, (60, 40), (0.1, 0.5)),
        (5, (40, 60), (0.5, 0.1)),
        (6, (40, 60), (0.5, 0.1)),
        (7, (40, 60), (0.5, 0.9)),
        (8, (40, 60), (0.5, 0.9)),
    ],
)
def test_a_picture_is_turned_upright(orientation: int, size: tuple[int, int], red_is_at: tuple[float, float]):
    image = widest(prepare(located(orientation=orientation)))

    assert image.size == size
    assert is_near(colour(image, *red_is_at), RED)


def test_a_tall_picture_that_lies_on_its_side_is_fitted_as_it_stands():
    exif = Image.Exif()
    exif[samples.ORIENTATION] = 6

    prepared = prepare(encoded(halves(3000, 1500), exif=exif))

    assert (prepared.width, prepared.height) == (960, 1920)


def test_what_lets_light_through_is_laid_on_white():
    for format in ("PNG", "WEBP"):
        image = halves(mode="RGBA")
        image.paste((0, 0, 0, 0), (0, 0, 30, 40))
        assert is_near(colour(widest(prepare(encoded(image, format))), 0.2), WHITE)
    palette = Image.new("P", (60, 40), 1)
    palette.putpalette([0, 0, 0, 0, 0, 254])
    palette.paste(0, (0, 0, 30, 40))
    image = widest(prepare(encoded(palette, "PNG", transparency=0)))
    assert (is_near(colour(image, 0.2), WHITE), is_near(colour(image, 0.8), BLUE)) == (True, True)
    keyed = widest(prepare(encoded(halves(), "PNG", transparency=(255, 0, 0))))
    assert (is_near(colour(keyed, 0.1), WHITE), is_near(colour(keyed, 0.8), BLUE)) == (True, True)


@pytest.mark.parametrize("mode", ["CMYK", "L", "1", "P", "LA", "RGBA", "I;16"])
def test_every_way_to_write_colours_down_is_read(mode: str):
    if mode == "I;16":
        row = b"".join(value.to_bytes(2, "little") for value in [5_000] * 30 + [60_000] * 30)
        image = Image.frombytes(mode, (60, 40), row * 40)
    else:
        image = halves(mode=mode)

    found = widest(prepare(encoded(image, "JPEG" if mode == "CMYK" else "PNG")))

    if mode in ("CMYK", "P", "RGBA"):
        assert (is_near(colour(found, 0.1), RED), is_near(colour(found, 0.9), BLUE)) == (True, True)
    elif mode == "I;16":
        assert (is_near(colour(found, 0.1), (20,) * 3), is_near(colour(found, 0.9), (234,) * 3)) == (True, True)
    assert (found.mode, found.size) == ("RGB", (60, 40))


def test_colours_of_another_profile_become_those_of_srgb():
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))

    with_its_own = widest(prepare(encoded(halves(), "PNG", icc_profile=srgb.tobytes())))
    with_a_wrong_one = widest(prepare(encoded(halves(), "PNG", icc_profile=lab.tobytes())))
    with_nonsense = widest(prepare(encoded(halves(), "PNG", icc_profile=b"nonsense" * 100)))

    for image in (with_its_own, with_a_wrong_one, with_nonsense):
        assert is_near(colour(image, 0.1), RED)
        assert "icc_profile" not in image.info


def test_a_profile_that_swaps_colours_is_applied():
    swapping = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    red, blue = swapping.index(b"rXYZ"), swapping.index(b"bXYZ")
    swapped = bytearray(swapping)
    swapped[red : red + 4], swapped[blue : blue + 4] = b"bXYZ", b"rXYZ"

    image = widest(prepare(encoded(halves(), "PNG", icc_profile=bytes(swapped))))

    assert is_near(colour(image, 0.1), BLUE)


def test_of_several_frames_the_first_is_kept():
    red, blue = Image.new("RGB", (30, 30), "red"), Image.new("RGB", (30, 30), "blue")
    for format in ("WEBP", "PNG", "MPO"):
        sent = encoded(red, format, save_all=True, append_images=[blue])
        prepared = prepare(sent)
        assert is_near(colour(widest(prepared), 0.5), RED), format
        assert all(getattr(shown(content), "n_frames", 1) == 1 for content in prepared.contents.values())


def test_what_hides_behind_a_picture_is_not_passed_on():
    page = b"<script>alert(document.domain)</script>"

    prepared = prepare(encoded(halves()) + page)

    assert not any(page in content for content in prepared.contents.values())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8\xff",
        b"<html><body>photo.jpg</body></html>",
        b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>alert(1)</script></svg>',
        b"GIF89a" + bytes(20),
        b"%PDF-1.7",
        encoded(halves(), "GIF"),
        encoded(halves(), "BMP"),
        encoded(halves(), "TIFF"),
        encoded(halves(), "PPM"),
        encoded(halves())[:-200],
        encoded(halves(300, 300), "PNG")[:-40],
        encoded(halves(300, 300), "WEBP")[:-20],
        encoded(halves(300, 300), "PNG").replace(b"IDAT", b"IDAX", 1),
    ],
)
def test_what_is_no_whole_picture_is_refused(data: bytes):
    with pytest.raises(NotAPicture):
        prepare(data)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    "data", [claiming(50_000, 50_000), claiming(10_000, 10_000), claiming(6_400, 6_400), claiming_webp(16_383, 16_383)]
)
def test_a_bomb_is_refused_before_it_is_unpacked(data: bytes):
    assert len(data) < 100
    with pytest.raises(TooLarge):
        prepare(data)


def test_ten_megabytes_are_looked_at_and_one_more_byte_is_not():
    picture = encoded(halves())

    assert prepare(picture + bytes(LARGEST_BYTES - len(picture))).width == 60
    with pytest.raises(TooLarge):
        prepare(picture + bytes(LARGEST_BYTES - len(picture) + 1))


def test_a_jpeg_of_endless_passes_is_refused():
    with pytest.raises(NotAPicture, match="passes"):
        prepare(encoded(halves()) + b"\xff\xda" * MOST_SCANS)


SEEDS = [
    located(orientation=6),
    encoded(halves(), progressive=True),
    encoded(halves(mode="CMYK")),
    encoded(halves(mode="RGBA"), "PNG"),
    encoded(halves(mode="P"), "PNG", transparency=0),
    encoded(halves(), "WEBP"),
    encoded(halves(mode="RGBA"), "WEBP", lossless=True),
]
MAGIC = [b"", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"RIFF\x24\x00\x00\x00WEBPVP8 "]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A real picture with some bytes changed, cut off or repeated."""
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(0, 8))):
        place = draw(st.integers(0, len(data) - 1))
        data[place : place + draw(st.integers(0, 4))] = draw(st.binary(max_size=6))
    return bytes(data[: draw(st.integers(1, len(data)))]) if draw(st.booleans()) else bytes(data)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning", "ignore::UserWarning")
@settings(max_examples=400, deadline=None)
@given(st.one_of(damaged(), st.tuples(st.sampled_from(MAGIC), st.binary(max_size=200)).map(b"".join)))
@example(located())
def test_any_bytes_are_refused_or_become_sound_pictures_without_metadata(data: bytes):
    try:
        prepared = prepare(data)
    except (NotAPicture, TooLarge):
        return
    check(prepared.contents)
    for name, content in prepared.contents.items():
        said = names.read(name)
        assert said is not None
        assert shown(content).size == (said.width, said.height)
        assert has_no_metadata(content)


def test_ready_pictures_must_be_whole_and_what_their_names_say():
    good = prepare(encoded(halves(400, 300)))
    other = prepare(encoded(halves(400, 300).rotate(180)))
    stem = good.address.removesuffix(".jpg")

    check({**good.contents, **other.contents})

    for change in (
        {good.address: other.contents[other.address]},
        {f"{stem}-320.webp": good.contents[f"{stem}-320.jpg"]},
        {f"{stem}-320.jpg": good.contents[good.address]},
        {"../escape.jpg": good.contents[good.address]},
    ):
        with pytest.raises(ValueError, match=r"holds|digest|name"):
            check({**good.contents, **change})
    with pytest.raises(ValueError, match="missing"):
        check({name: content for name, content in good.contents.items() if not name.endswith("-320.webp")})
