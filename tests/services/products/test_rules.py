"""What is true of drafts, prices and languages, whatever they are."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.services.products import rules
from hansa.services.products.contract import ImageDraft, PriceDraft, ProductPatch, Text
from tests.services.products.drafts import hat, usd, variant, whole_hat

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOURS = st.integers(-5, 5)


def moment(hours: int) -> datetime:
    return NOW + timedelta(hours=hours)


@st.composite
def stated_prices(draw: st.DrawFn) -> tuple[PriceDraft, ...]:
    """A sound set of prices, as one variant of a draft states them."""
    beginnings = draw(st.lists(st.none() | HOURS, unique=True, max_size=4))
    prices = []
    for beginning in beginnings:
        ends_after = draw(st.none() | st.integers(1, 12))
        start = moment(beginning) if beginning is not None else None
        end = None if ends_after is None else (start or NOW) + timedelta(hours=ends_after)
        prices.append(usd(draw(st.integers(0, 3)), valid_from=start, valid_to=end))
    return tuple(prices)


def kept_after(kept: list[PriceDraft], added: tuple[PriceDraft, ...]) -> list[PriceDraft]:
    """Rows in the order in which they win; sorting is stable, so later rows of a moment come last."""
    return sorted([*kept, *added], key=lambda price: price.valid_from or NOW)


@given(st.lists(stated_prices(), max_size=4))
def test_the_same_prices_again_add_nothing(history: list[tuple[PriceDraft, ...]]):
    kept: list[PriceDraft] = []
    for stated in history:
        kept = kept_after(kept, rules.prices_to_add(stated=stated, kept=kept, now=NOW))
        assert rules.prices_to_add(stated=stated, kept=kept, now=NOW) == ()


@given(st.lists(stated_prices(), max_size=4), st.integers(0, 10))
def test_what_is_said_of_kept_prices_adds_nothing_to_them(history: list[tuple[PriceDraft, ...]], later: int):
    kept: list[PriceDraft] = []
    for stated in history:
        kept = kept_after(kept, rules.prices_to_add(stated=stated, kept=kept, now=NOW))
    now = NOW + timedelta(minutes=30 * later)
    in_sight = [price for price in kept if price.valid_to is None or price.valid_to > now]
    stated = rules.prices_to_state(in_sight, now=now)
    assert rules.prices_to_add(stated=stated, kept=in_sight, now=now) == ()


@given(st.lists(stated_prices(), max_size=4), st.integers(0, 3))
def test_a_price_stated_alone_is_the_price_from_now_on(history: list[tuple[PriceDraft, ...]], amount: int):
    kept: list[PriceDraft] = []
    for stated in history:
        kept = kept_after(kept, rules.prices_to_add(stated=stated, kept=kept, now=NOW))
    kept = kept_after(kept, rules.prices_to_add(stated=(usd(amount),), kept=kept, now=NOW))
    assert [price for price in kept if rules.is_current(price, now=NOW)][-1].amount == amount


def test_prices_of_other_terms_stay_out_of_it():
    kept = [usd(100, valid_from=NOW), usd(90, minimum_quantity=10, valid_from=NOW)]
    stated = (PriceDraft(amount=100, currency="EUR"), usd(100), usd(80, minimum_quantity=10))
    added = rules.prices_to_add(stated=stated, kept=kept, now=NOW)
    assert [(price.amount, price.currency) for price in added] == [(100, "EUR"), (80, "USD")]


def test_the_digest_covers_the_whole_draft_but_not_the_order_of_its_keys():
    draft = whole_hat()
    assert rules.digest(draft) == rules.digest(
        msgspec.structs.replace(draft, attributes=dict(reversed(draft.attributes.items())))
    )
    others = [
        msgspec.structs.replace(draft, **{name: value})
        for name, value in {
            "slug": "other",
            "texts": {**draft.texts, "en": Text(name="Felt hat", description="Warmer.")},
            "variants": (*draft.variants[:1], msgspec.structs.replace(draft.variants[1], prices=(usd(1),))),
            "category": draft.category[:1],
            "brand": None,
            "images": (),
            "attributes": {**draft.attributes, "waterproof": 1},
            "status": "archived",
        }.items()
    ]
    assert len({rules.digest(each) for each in (draft, *others)}) == len(draft.__struct_fields__) + 1


@pytest.mark.parametrize(
    "prices",
    [
        (usd(1), usd(2)),
        (usd(1, valid_from=NOW), usd(2, valid_from=NOW)),
        (usd(1, valid_from=NOW, valid_to=NOW),),
        (usd(1, valid_from=NOW.replace(tzinfo=None)),),
        (usd(1, price_list="x" * 65),),
    ],
)
def test_prices_that_contradict_each_other_are_a_flaw(prices: tuple[PriceDraft, ...]):
    assert rules.flaw(hat(variants=(variant("A", prices=prices),)))


@pytest.mark.parametrize("codes", [{"gtin": "12345678\n"}, {"hs_code": "123456\n"}, {"country_of_origin": "US\n"}])
def test_a_code_with_a_line_break_is_a_flaw(codes: dict[str, Any]):
    assert rules.flaw(hat(variants=(variant("A", **codes),)))


def test_a_backslash_before_u0000_is_no_flaw():
    assert rules.flaw(hat(texts={"en": Text(name=r"a\u0000b")})) is None
    assert rules.flaw(whole_hat()) is None


def test_skus_go_to_the_first_who_is_not_refused():
    thief, honest, late = (
        ("1", hat("thief", variants=(variant("FREE"), variant("TAKEN")))),
        ("2", hat("honest", variants=(variant("FREE"),))),
        ("3", hat("late", variants=(variant("FREE"),))),
    )
    assert rules.admit([thief, honest, late], owners={"TAKEN": "9"}) == {"1": "TAKEN", "3": "FREE"}


def test_a_patch_without_a_field_keeps_it_and_with_none_empties_it():
    draft = whole_hat()
    assert rules.patched(draft, ProductPatch()) == draft
    assert rules.patched(draft, ProductPatch(brand=None)).brand is None


@given(st.dictionaries(st.sampled_from(["de", "de-AT", "en", "fr", "zh"]), st.integers(), min_size=1))
def test_some_language_is_always_found_and_the_exact_one_first(texts: dict[str, int]):
    wanted = rules.languages(locale="de-AT", default="en")
    found = rules.in_language(texts, wanted)
    best = next((texts[locale] for locale in ("de-AT", "de", "en") if locale in texts), texts[min(texts)])
    assert found == best


@pytest.mark.parametrize(
    ("url", "is_good"),
    [
        ("https://shop.example/hat.jpg", True),
        ("/media/hat.webp", True),
        ("javascript:alert(1)", False),
        ("data:image/png;base64,AAAA", False),
        ("https://shop.example/a b.jpg", False),
        ("https://shop.example/\n", False),
    ],
)
def test_a_picture_is_at_an_address_and_not_something_to_run(url: str, is_good: bool) -> None:
    if is_good:
        msgspec.convert({"url": url}, ImageDraft)
    else:
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({"url": url}, ImageDraft)
