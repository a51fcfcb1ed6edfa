"""What queries find, and in which order."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hansa.kernel.page import CursorInvalid
from hansa.services.products.contract import PriceDraft
from hansa.services.search.contract import LONGEST_QUERY, Item
from hansa.services.search.service.finding import ENOUGH
from tests.services.search.catalogue import draft, variant
from tests.services.search.conftest import IN_ENGLISH, World, slugs


@pytest.mark.parametrize(
    ("q", "first"),
    [
        ("notebook", {"elite", "think"}),
        ("laptop", {"elite", "think"}),
        ("notebooks", {"elite", "think"}),
        ("notebook bag", {"bag", "sleeve"}),
        ("bag for notebook", {"bag", "sleeve"}),
        ("printer", {"laser", "deskjet"}),
        ("hp toner", {"ce285a"}),
        ("toner for hp printer", {"ce285a"}),
        ("printer cartridge", {"ce285a", "xerox"}),
        ("lenovo", {"think"}),
        ("wool coat", {"wool-coat"}),
        ("overcoat", {"wool-coat"}),
        ("hats", {"felt-hat"}),
    ],
)
async def test_the_kind_of_thing_that_is_asked_for_comes_before_what_belongs_to_it(
    shop: World, q: str, first: set[str]
) -> None:
    found = await shop.slugs(q)

    assert set(found[: len(first)]) == first, found


@pytest.mark.parametrize("q", ["CE285A", "ce-285a", "006R90321", "006r90321 toner", "think", "COAT-M-RED", "P1102"])
async def test_a_model_number_or_sku_finds_its_product_first(shop: World, q: str) -> None:
    wanted = {"C": "ce285a", "c": "ce285a", "0": "xerox", "t": "think", "P": "laser"}
    assert (await shop.slugs(q))[0] == ("wool-coat" if "COAT" in q else wanted[q[0]])


@pytest.mark.parametrize("q", ['notebook 14"', "14 inch notebook", "notebook 8gb 14in", "8 GB notebook"])
async def test_sizes_are_found_however_they_are_written(shop: World, q: str) -> None:
    assert (await shop.slugs(q))[0] == "elite"


@pytest.mark.parametrize(
    ("q", "meant", "first"),
    [
        ("notebok", "notebook", {"elite", "think"}),
        ("notebook lenvo", "notebook lenovo", {"think"}),
        ("lazerjet", "laserjet", {"laser"}),
        ("cartrigde", "cartridge", {"ce285a", "xerox"}),
        ("raincaot", "raincoat", {"rain-coat"}),
        ("felthat", "felt hat", {"felt-hat"}),
        ("noteb", "notebook", {"elite", "think"}),
    ],
)
async def test_what_was_misspelt_is_found_and_said(shop: World, q: str, meant: str, first: set[str]) -> None:
    results = await shop.find(q)

    assert (results.corrected, set(slugs(results)[: len(first)])) == (meant, first)


async def test_what_is_found_as_typed_is_not_corrected(shop: World) -> None:
    for q in ("notebook", "wool", "ce285a", "hp", "overcoat"):
        assert (await shop.find(q)).corrected is None, q


@pytest.mark.parametrize("q", ["note book", "t shirt", "tshirt", "tee", "lap top"])
async def test_words_written_as_one_or_as_two_are_the_same(shop: World, q: str) -> None:
    first = "tee" if "t" in q[:2] else {"elite", "think"}
    found = await shop.slugs(q)
    assert found[0] in first if isinstance(first, set) else found[0] == first


@pytest.mark.parametrize(
    ("q", "first"),
    [
        ("羊毛大衣", "wool-coat"),
        ("大衣", "wool-coat"),
        ("笔记本电脑", "elite"),
        ("雨衣", "rain-coat"),
        ("条纹T恤", "tee"),
        ("惠普 硒鼓", "ce285a"),
    ],
)
async def test_chinese_is_found_in_either_language(shop: World, q: str, first: str) -> None:
    for locale in ("zh", "en"):
        assert first in (await shop.slugs(q, locale=locale))[:2]


async def test_english_finds_what_has_only_a_chinese_name(shop: World) -> None:
    await shop.put(draft("zh-only", "大衣", path="clothes/coats"))

    assert "zh-only" in await shop.slugs("coat")


async def test_a_list_is_in_the_language_and_currency_asked_for(shop: World) -> None:
    [chinese] = (await shop.find("羊毛大衣", locale="zh")).items[:1]
    [english] = (await shop.find("羊毛大衣", locale="en-GB")).items[:1]

    assert (chinese.name, english.name) == ("羊毛大衣", "Wool coat")
    assert english.image is not None
    assert (english.image.url, english.image.alt) == ("/media/a.jpg", "Coat")
    assert english.options == {"size": 2, "colour": 2}
    assert english.price_from is not None
    assert english.price_to is not None
    assert (english.price_from.amount, english.price_to.amount, english.available) == (8900, 9900, True)
    [unpriced] = (await shop.find("wool coat", currency="EUR")).items[:1]
    assert (unpriced.price_from, unpriced.price_to) == (None, None)


async def test_most_of_the_words_will_do_when_nothing_has_all(shop: World) -> None:
    assert (await shop.slugs("purple wool coat"))[0] == "wool-coat"
    assert (await shop.slugs("lenovo notebook with unobtainium"))[0] == "think"


@pytest.fixture
async def hats(world: World) -> World:
    """Few felt hats among many of wool."""
    makers = ("Orchy", "Nordhavn")
    await world.put(
        *(draft(f"felt-{n}", f"Green felt hat {n}", price=900 + n, brand=makers[n % 2]) for n in range(4)),
        *(draft(f"wool-{n}", f"Green wool hat {n}", price=500 + n, brand=makers[n % 2]) for n in range(20)),
        draft("felt-unpriced", "Green felt hat", price=None),
    )
    return world


async def test_where_few_have_all_words_those_with_most_follow_until_there_are_enough(hats: World) -> None:
    results = await hats.find("green felt hat")
    first, *others = [slug.partition("-")[0] for slug in slugs(results)]

    assert (results.total, len(results.items), results.next_cursor) == (ENOUGH, ENOUGH, None)
    assert [first, *others] == ["felt"] * 4 + ["wool"] * 5 + ["felt"]
    assert slugs(results)[-1] == "felt-unpriced", "it has all words, but cannot be bought"


async def test_what_was_filled_up_is_the_same_in_every_order_page_and_choice(hats: World) -> None:
    found = await hats.find("green felt hat")
    brands = next(facet for facet in found.facets if facet.kind == "brand")
    page = await hats.find("green felt hat", limit=6)
    rest = await hats.find("green felt hat", limit=6, cursor=page.next_cursor)

    assert slugs(page) + slugs(rest) == slugs(found)
    assert set(await hats.slugs("green felt hat", sort="price_up")) == set(slugs(found))
    assert len(brands.values) == 2
    for brand in brands.values:
        assert (await hats.find("green felt hat", brands=(brand.value,))).total == brand.count


async def test_nothing_is_found_where_there_is_nothing(shop: World) -> None:
    for q in ("zzzzzzzz", "!!!", "的", "0"):
        assert (await shop.find(q)).total in (0, 1), q


async def test_of_equals_what_can_be_had_comes_first(shop: World) -> None:
    await shop.put(draft("beret-a", "Beret"), sold_out=True)
    await shop.put(draft("beret-b", "Beret"))
    await shop.put(draft("beret-c", "Beret"), sold_out=True)

    assert (await shop.slugs("beret"))[0] == "beret-b"
    assert await shop.slugs("beret", in_stock=True) == ["beret-b"]


# Any query


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=200).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
    | st.text(max_size=200)
    | st.sampled_from(
        [
            "name:hat AND (",
            '"',
            "^*~2",
            "[a TO *]",
            "id:1",
            "' OR 1=1 --",
            "(a+)+$",
            "\0",
            "😀👗",
            "a" * 10_000,
            "大" * 500,
        ]
    )
)
async def test_any_query_is_answered(shop: World, q: str) -> None:
    results = await shop.find(q)

    assert results.total >= len(results.items) >= 0
    assert isinstance(await shop.search.suggest(q=q, **IN_ENGLISH), tuple)


async def test_what_is_typed_beyond_the_longest_query_is_not_read(shop: World) -> None:
    assert (await shop.slugs("felt hat " + " " * LONGEST_QUERY + "zzz"))[0] == "felt-hat"


# Pages


async def test_pages_of_every_order_hold_each_product_once_whatever_ties_there_are(shop: World) -> None:
    prices = [500, None, 700, 500, 500, 0, None, 700, 500, 10**12]
    await shop.put(*(draft(f"sock-{place}", "Sock", price=price) for place, price in enumerate(prices)))
    everything = sorted(await shop.slugs(limit=100))
    for q, sort in [("", "newest"), ("", "price_up"), ("", "price_down"), ("sock", "relevance"), ("sock", "price_up")]:
        for limit in (1, 3, 7):
            found: list[Item] = []
            cursor = None
            while True:
                page = await shop.find(q, sort=sort, limit=limit, cursor=cursor)
                found += page.items
                assert page.total == (len(prices) if q else len(everything))
                if (cursor := page.next_cursor) is None:
                    break
            assert sorted(item.slug for item in found) == (
                [f"sock-{place}" for place in range(len(prices))] if q else everything
            )
            amounts = [item.price_from.amount for item in found if item.price_from]
            if sort.startswith("price"):
                assert amounts == sorted(amounts, reverse=sort == "price_down")
                assert all(item.price_from is None for item in found[len(amounts) :])
            if sort == "newest":
                newest = sorted(found, key=lambda item: (item.price_from is not None, int(item.id)), reverse=True)
                assert found == newest


async def test_an_edit_between_two_pages_by_price_neither_repeats_nor_skips_others(shop: World) -> None:
    await shop.put(*(draft(f"sock-{place}", "Sock", price=500) for place in range(6)))
    first = await shop.find("sock", sort="price_up", limit=3)
    await shop.put(draft("sock-new", "Sock", price=100))
    second = await shop.find("sock", sort="price_up", limit=10, cursor=first.next_cursor)

    assert sorted(slugs(first) + slugs(second)) == [f"sock-{place}" for place in range(6)]


async def test_a_cursor_of_another_list_is_refused(shop: World) -> None:
    cursor = (await shop.find("", limit=2)).next_cursor
    assert cursor is not None

    for asked in ({"q": "hat"}, {"sort": "price_up"}, {"brands": ("HP",)}, {"in_stock": True}, {"currency": "EUR"}):
        with pytest.raises(CursorInvalid):
            await shop.find(cursor=cursor, **asked)
    for forged in ("", "x", "W10", cursor[:-3], "WyJwcm9kdWN0cyIsMV0"):
        with pytest.raises(CursorInvalid):
            await shop.find(cursor=forged)


# Suggestions


async def test_what_is_being_typed_is_completed(shop: World) -> None:
    found = await shop.search.suggest(q="note", **IN_ENGLISH)

    assert ("category", "Notebooks", "computers/notebooks") in {(each.kind, each.text, each.target) for each in found}
    assert ("query", "notebook") in {(each.kind, each.text) for each in found}
    assert {each.target for each in found if each.kind == "product"} & {"elite", "think"}


async def test_words_before_the_last_narrow_what_is_suggested(shop: World) -> None:
    found = await shop.search.suggest(q="hp las", **IN_ENGLISH)

    assert [each.text for each in found if each.kind == "query"] == ["hp laserjet"]
    assert {each.target for each in found if each.kind == "product"} <= {"laser", "ce285a"}


async def test_suggestions_bear_a_mistake_and_speak_chinese(shop: World) -> None:
    assert "notebook" in {each.text for each in await shop.search.suggest(q="notbo", **IN_ENGLISH)}
    found = await shop.search.suggest(q="大衣", locale="zh", currency="USD")
    assert {("category", "大衣"), ("product", "羊毛大衣")} <= {(each.kind, each.text) for each in found}


async def test_no_more_is_suggested_than_was_asked_for(shop: World) -> None:
    for limit in (1, 2, 5):
        assert len(await shop.search.suggest(q="n", limit=limit, **IN_ENGLISH)) <= limit
    assert await shop.search.suggest(q="", **IN_ENGLISH) == ()


async def test_variants_without_a_price_do_not_hide_those_with_one(shop: World) -> None:
    await shop.put(draft("pair", "Pair", variants=(variant("PAIR-1", None), variant("PAIR-2", 700))))

    [item] = (await shop.find("pair")).items
    assert item.price_from is not None
    assert item.price_from.amount == 700


async def test_what_has_no_price_in_the_currency_stands_below_what_has_one(shop: World) -> None:
    in_euros = PriceDraft(amount=900, currency="EUR")
    await shop.put(
        draft("sock-plain", "Grey thing", description="Like a sock."),
        draft("sock-foreign", "Sock", variants=(variant("SOCK-1", prices=(in_euros,)),)),
    )

    assert await shop.slugs("sock") == ["sock-plain", "sock-foreign"]
    assert await shop.slugs("sock", currency="EUR") == ["sock-foreign", "sock-plain"]
    assert (await shop.slugs(sort="newest", limit=100))[-1] == "sock-foreign"
    assert (await shop.slugs(sort="newest", currency="EUR"))[0] == "sock-foreign"
