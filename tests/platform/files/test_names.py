"""What the names of pictures say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.platform.files import names

DIGEST = "0123456789abcdef0123456789abcdef"


def test_an_address_tells_a_page_all_forms_and_the_size():
    found = names.sources(f"/media/{DIGEST}-700x875.jpg")

    assert found is not None
    assert found.jpeg == (
        f"/media/{DIGEST}-700x875-320.jpg 320w, /media/{DIGEST}-700x875-640.jpg 640w, /media/{DIGEST}-700x875.jpg 700w"
    )
    assert found.webp == (
        f"/media/{DIGEST}-700x875-320.webp 320w, /media/{DIGEST}-700x875-640.webp 640w,"
        f" /media/{DIGEST}-700x875-700.webp 700w"
    )
    assert (found.width, found.height) == (700, 875)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://elsewhere.example/a.jpg",
        f"https://elsewhere.example/media/{DIGEST}-700x875.jpg",
        f"/media/{DIGEST}-700x875-320.jpg",
        f"/media/{DIGEST}-700x875-700.webp",
        f"/media//media/{DIGEST}-700x875.jpg",
        f"{DIGEST}-700x875.jpg",
    ],
)
def test_an_address_of_elsewhere_has_no_forms(url: str):
    assert names.sources(url) is None


@given(digest=st.binary(), width=st.integers(1, 960), height=st.integers(1, 3840))
def test_every_form_says_which_picture_it_is_of_and_how_large(digest: bytes, width: int, height: int):
    address = names.address(digest=names.digest_of(digest), width=width, height=height)

    forms = names.forms(address)
    read = [names.read(form) for form in forms]

    assert len(set(forms)) == len(forms) == 2 * len(names.widths(width))
    assert address in forms
    assert {said.address for said in read if said} == {address}
    assert max(said.width for said in read if said) == width


@pytest.mark.parametrize(
    "name",
    [
        "",
        "..",
        f"../{DIGEST}-700x875.jpg",
        f"{DIGEST}-700x875.jpg\n",
        f"{DIGEST.upper()}-700x875.jpg",
        f"{DIGEST}-0700x875.jpg",
        f"{DIGEST}-0x875.jpg",
        f"{DIGEST}-961x875.jpg",
        f"{DIGEST}-700x3841.jpg",
        f"{DIGEST}-700x875.png",
        f"{DIGEST}-700x875.webp",
        f"{DIGEST}-700x875-700.jpg",
        f"{DIGEST}-700x875-960.webp",
        f"{DIGEST}-700x875-321.webp",
        f"{DIGEST}-٧00x875.jpg",
        f"{DIGEST}.jpg",
    ],
)
def test_what_is_no_name_is_not_read(name: str):
    assert names.read(name) is None
