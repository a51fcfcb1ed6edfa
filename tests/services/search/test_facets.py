"""What can be chosen, and how many products each choice would leave: compared with counting them one by one."""

from collections import Counter
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hansa.services.products.contract import ProductDraft
from hansa.services.search.contract import Facet, Results
from hansa.services.search.rules import facets
from hansa.services.search.rules.ordering import Choice
from hansa.services.search.service import counting
from tests.services.search.catalogue import CATEGORIES, draft, variant
from tests.services.search.conftest import World, opened_world

BRANDS = (None, "Glen Orchy", "Nordhavn", "Belleville")
COLOURS = ("red", "blue", "green")
SIZES = ("S", "M", "L")
MATERIALS = ("wool", "felt")
PRICES = (None, 0, 900, 1000, 1999, 2000, 7000, 250_000)
PATHS = ("", *(path for path in CATEGORIES if "/" in path))


def stock(count: int) -> list[ProductDraft]:
    """Products in every mixture of what can be chosen."""
    return [
        draft(
            f"thing-{place}",
            "Thing" if place % 3 else "Other thing",
            path=PATHS[place % len(PATHS)],
            brand=BRANDS[place % len(BRANDS)],
            attributes={"material": MATERIALS[place % 2]} if place % 5 else {},
            variants=tuple(
                variant(
                    f"T{place}-{number}",
                    PRICES[(place + number) % len(PRICES)],
                    options={"colour": COLOURS[(place + number) % 3], "size": SIZES[place % 3]},
                )
                for number in range(1 + place % 2)
            ),
        )
        for place in range(count)
    ]


STOCK = stock(60)


@pytest.fixture(autouse=True, params=[counting.MOST_COUNTED_HERE, 10], ids=["counted_here", "counted_by_tantivy"])
def who_counts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few results are counted otherwise than many, and come to the same."""
    monkeypatch.setattr(counting, "MOST_COUNTED_HERE", request.param)


@pytest.fixture
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    async for opened in opened_world(request, tmp_path):
        await opened.put(*STOCK)
        yield opened


def matches(product: ProductDraft, choice: Choice, *, but: tuple[str, str] | None = None) -> bool:
    """Whether a product is among what is chosen, one facet aside."""
    path = "/".join(level.slug for level in product.category)
    in_category = choice.category is None or f"{path}/".startswith(f"{choice.category}/")
    in_brands = not choice.brands or product.brand in choice.brands
    price = lowest(product)
    in_price = (choice.price_min is None or (price is not None and price >= choice.price_min)) and (
        choice.price_max is None or (price is not None and price <= choice.price_max)
    )
    in_attributes = all(
        values_of(product, name) & set(values) or but == ("attribute", name)
        for name, values in choice.attributes.items()
    )
    return (
        (in_category or but == ("category", ""))
        and (in_brands or but == ("brand", ""))
        and (in_price or but == ("price", ""))
        and bool(in_attributes)
    )


def lowest(product: ProductDraft) -> int | None:
    return min((price.amount for each in product.variants for price in each.prices), default=None)


def values_of(product: ProductDraft, name: str) -> set[str]:
    options = {each.options[name] for each in product.variants if name in each.options}
    return options | ({str(product.attributes[name])} if name in product.attributes else set())


def counted(values: Iterable[set[str]]) -> Counter[str]:
    return Counter(value for each in values for value in each)


def facet(results: Results, kind: str, name: str) -> Facet | None:
    return next((each for each in results.facets if (each.kind, each.name) == (kind, name)), None)


choices = st.builds(
    Choice,
    category=st.none() | st.sampled_from(list(CATEGORIES)),
    brands=st.lists(st.sampled_from(BRANDS[1:]), max_size=2, unique=True).map(tuple),
    attributes=st.dictionaries(
        st.sampled_from(["colour", "size", "material"]),
        st.lists(st.sampled_from([*COLOURS, *SIZES, *MATERIALS]), min_size=1, max_size=2, unique=True).map(tuple),
        max_size=2,
    ),
    price_min=st.none() | st.sampled_from([0, 1, 1000, 2000]),
    price_max=st.none() | st.sampled_from([999, 2000, 10_000]),
)


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(choice=choices, q=st.sampled_from(["", "thing", "other thing"]))
async def test_counts_are_those_of_counting_one_by_one(world: World, choice: Choice, q: str) -> None:
    results = await world.find(
        q,
        category=choice.category,
        brands=choice.brands,
        attributes=choice.attributes,
        price_min=choice.price_min,
        price_max=choice.price_max,
        limit=100,
    )
    stocked = [each for each in STOCK if q != "other thing" or each.texts["en"].name == "Other thing"]
    found = [each for each in stocked if matches(each, choice)]

    # With few results a query of two words is filled up with what has one of them.
    if q != "other thing" or len(found) >= 10:
        assert {item.slug for item in results.items} == {each.slug for each in found}
        assert results.total == len(found)
        for kind, name in [("brand", ""), *(("attribute", name) for name in ("colour", "size", "material"))]:
            shown = facet(results, kind, name or kind)
            others = [each for each in stocked if matches(each, choice, but=(kind, name))]
            true = counted(values_of(each, name) if name else {each.brand or ""} - {""} for each in others)
            chosen = choice.attributes.get(name, ()) if name else choice.brands
            if shown is None:
                assert not chosen
                continue
            assert {value.value: value.count for value in shown.values} == {
                value: true[value] for value in {*true, *chosen}
            }
            assert {value.value for value in shown.values if value.is_chosen} == set(chosen)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(choice=choices)
async def test_choosing_what_is_offered_finds_as_many_as_was_said(world: World, choice: Choice) -> None:
    asked: dict[str, Any] = {
        "category": choice.category,
        "brands": choice.brands,
        "attributes": choice.attributes,
        "price_min": choice.price_min,
        "price_max": choice.price_max,
    }
    for offered in (await world.find(**asked)).facets:
        for value in offered.values:
            chosen: dict[str, Any]
            if offered.kind == "category":
                chosen = {"category": value.value}
            elif offered.kind == "brand":
                chosen = {"brands": (value.value,)}
            elif offered.kind == "attribute":
                chosen = {"attributes": {**choice.attributes, offered.name: (value.value,)}}
            else:
                begin, _, end = value.value.partition("-")
                chosen = {"price_min": int(begin), "price_max": int(end) if end else None}
            assert (await world.find(**{**asked, **chosen})).total == value.count, (offered.name, value)


async def test_the_children_of_the_chosen_category_are_offered_and_of_a_leaf_its_sisters(world: World) -> None:
    everywhere, inside, leaf = [
        facet(await world.find(category=path), "category", "category") for path in (None, "clothes", "clothes/hats")
    ]

    assert everywhere is not None
    assert inside is not None
    assert leaf is not None
    assert {value.value for value in everywhere.values} == {"clothes", "computers", "printing"}
    assert {value.value for value in inside.values if not value.is_chosen} == {
        "clothes/coats",
        "clothes/hats",
        "clothes/t-shirts",
    }
    assert [value.value for value in inside.values if value.is_chosen] == ["clothes"]
    assert {value.value for value in leaf.values} >= {"clothes/coats", "clothes/hats", "clothes/t-shirts"}
    assert [value.value for value in leaf.values if value.is_chosen] == ["clothes/hats"]


async def test_categories_are_labelled_in_the_language_asked_for(world: World) -> None:
    chinese = facet(await world.find(locale="zh"), "category", "category")
    assert chinese is not None
    assert {value.label for value in chinese.values} == {"电脑", "打印与耗材", "服装"}


async def test_a_category_is_also_known_by_its_last_slug(world: World) -> None:
    assert (await world.find(category="hats")).total == (await world.find(category="clothes/hats")).total > 0


async def test_what_is_not_there_can_be_chosen_and_finds_nothing(world: World) -> None:
    choices: list[dict[str, Any]] = [
        {"category": "no/such"},
        {"brands": ("Nobody",)},
        {"attributes": {"colour": ("no such",)}},
        {"attributes": {"no such": ("red",)}},
        {"price_min": 10**12},
        {"price_min": 100, "price_max": 1},
    ]
    for chosen in choices:
        assert (await world.find(**chosen)).total == 0, chosen


async def test_prices_are_offered_in_round_ranges_that_hold_everything(world: World) -> None:
    prices = facet(await world.find(), "price", "price")

    assert prices is not None
    assert prices.lowest is not None
    assert prices.highest is not None
    assert (prices.lowest.amount, prices.highest.amount) == (0, 250_000)
    assert 2 <= len(prices.values) <= facets.MOST_RANGES
    assert sum(value.count for value in prices.values) == sum(lowest(each) is not None for each in STOCK)


def test_the_attributes_that_part_products_best_are_counted_in_large_shops() -> None:
    tally = facets.Tally()
    for place in range(90):
        tally.add("hats", [("colour", COLOURS[place % 3]), ("same", "for all"), ("serial", str(place))])

    assert tally.plan()[0] == "colour"
    assert "same" not in tally.plan()


async def test_what_is_offered_follows_an_edit_of_a_product_that_was_counted_before(world: World) -> None:
    hats = [draft(f"hat-{place}", f"Sunhat {place}", attributes={"lining": "silk"}) for place in range(6)]
    await world.put(*hats, draft("hat-6", "Sunhat 6", attributes={"lining": "straw"}))
    before = facet(await world.find("sunhat"), "attribute", "lining")

    edited = [draft(hat.slug, hat.texts["en"].name, attributes={"lining": "cotton"}) for hat in hats[:3]]
    await world.put(*edited, version=2)
    after = facet(await world.find("sunhat"), "attribute", "lining")

    assert before is not None
    assert after is not None
    assert {value.value: value.count for value in before.values} == {"silk": 6, "straw": 1}
    assert {value.value: value.count for value in after.values} == {"silk": 3, "cotton": 3, "straw": 1}
