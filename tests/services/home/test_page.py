"""What stands on the front page, and what becomes of it when news come."""

import itertools
from datetime import timedelta

import pytest

from hansa.kernel.money import Money
from hansa.services.home.contract import MOST_ITEMS, FrontItem, Picture
from hansa.services.home.store import sales
from hansa.services.products.contract import PriceDraft, Text
from tests.services.home.window_shop import DAY_S, Window, category, counts, image, slugs, usd, variant


async def test_an_empty_shop_has_an_empty_front_page(window: Window):
    front = await window.page()

    assert (front.banners, front.new, front.best_sellers, front.categories) == ((), (), (), ())


async def test_a_product_is_shown_with_all_that_its_card_needs(window: Window):
    record = window.record(
        "coat",
        texts={"en": Text(name="Wool coat"), "zh": Text(name="羊毛大衣")},
        brand="Nordhavn",
        images=(image("coat"), image("back")),
        variants=(
            variant("S", usd(900)),
            variant("M", usd(1200), usd(500, minimum_quantity=10)),
            variant("L", usd(1000)),
        ),
    )
    await window.hear(window.put(record))

    assert (await window.page()).new == (
        FrontItem(
            id=record.id,
            slug="coat",
            name="Wool coat",
            brand="Nordhavn",
            image=Picture(url="/media/coat.jpg", alt="A coat"),
            price_from=Money(900, "USD"),
            price_to=Money(1200, "USD"),
            tax_included=False,
            available=True,
        ),
    )


async def test_the_latest_products_come_first_and_only_as_many_as_fit(window: Window):
    for number in range(MOST_ITEMS + 2):
        window.clock.advance(60)
        await window.hear(window.put(window.record(f"p-{number}")))

    assert slugs((await window.page()).new) == [f"p-{number}" for number in range(MOST_ITEMS + 1, 1, -1)]


async def test_what_cannot_be_had_or_is_archived_is_not_shown(window: Window):
    hat, shoe = window.record("hat"), window.record("shoe")
    await window.hear(window.put(hat), window.put(shoe), window.put(window.record("out", available=False)))
    await window.hear(window.placed({hat.id: 2, shoe.id: 1}))
    assert set(slugs((await window.page()).new)) == {"hat", "shoe"}

    await window.hear(window.available(hat.id, "HAT", False, version=2))
    await window.hear(window.put(window.record("shoe", product_id=shoe.id, version=2, status="archived")))
    front = await window.page()
    assert (front.new, front.best_sellers) == ((), ())

    await window.hear(window.available(hat.id, "HAT", True, version=3))
    front = await window.page()
    assert (slugs(front.new), slugs(front.best_sellers)) == (["hat"], ["hat"])


async def test_a_variant_that_is_no_longer_sold_makes_nothing_available(window: Window):
    hat = window.record("hat", variants=(variant("S"), variant("M")), available={"S": (True, 1), "M": (False, 0)})
    await window.hear(window.put(hat))
    assert slugs((await window.page()).new) == ["hat"]

    await window.hear(
        window.put(
            window.record("hat", product_id=hat.id, version=2, variants=(variant("M"),), available={"M": (False, 0)})
        )
    )
    assert (await window.page()).new == ()

    back = window.record("hat", product_id=hat.id, version=3, variants=(variant("S"),), available={"S": (True, 1)})
    await window.hear(window.put(back))
    assert slugs((await window.page()).new) == ["hat"]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_availability_may_come_before_its_product_and_in_any_order(small_window: Window, order: tuple[int, ...]):
    hat = small_window.record("hat", available=False)
    said = [
        small_window.put(hat),
        small_window.available(hat.id, "HAT", False, version=2),
        small_window.available(hat.id, "HAT", True, version=3),
    ]
    for number in order:
        await small_window.hear(said[number], said[number])

    assert slugs((await small_window.page()).new) == ["hat"]


async def test_an_older_word_on_a_product_changes_nothing(window: Window):
    hat = window.record("hat", version=2, brand="New")
    await window.hear(window.put(hat))
    await window.hear(window.put(window.record("hat", product_id=hat.id, version=1, brand="Old", status="archived")))

    assert [item.brand for item in (await window.page()).new] == ["New"]


async def test_best_sellers_are_those_of_which_most_pieces_were_sold(window: Window):
    hat, shoe, scarf = (window.record(slug) for slug in ("hat", "shoe", "scarf"))
    await window.hear(*(window.put(record) for record in (hat, shoe, scarf)))
    assert (await window.page()).best_sellers == ()

    await window.hear(window.placed({hat.id: 3, shoe.id: 1}), window.placed({shoe.id: 3}))

    assert slugs((await window.page()).best_sellers) == ["shoe", "hat"]


@pytest.mark.parametrize("is_cancelled_first", [False, True])
async def test_a_cancelled_order_does_not_count(window: Window, is_cancelled_first: bool):
    hat, shoe = window.record("hat"), window.record("shoe")
    await window.hear(window.put(hat), window.put(shoe), window.placed({hat.id: 1}))
    news = [window.placed({shoe.id: 5}, order_id=(order := window.ids.new(slot=9))), window.cancelled(order)]
    for envelope in reversed(news) if is_cancelled_first else news:
        await window.hear(envelope)
    await window.hear(window.cancelled(order), window.placed({shoe.id: 5}, order_id=order))

    assert slugs((await window.page()).best_sellers) == ["hat"]


async def test_sales_count_for_thirty_days(window: Window):
    hat, shoe = window.record("hat"), window.record("shoe")
    await window.hear(window.put(hat), window.put(shoe))
    await window.hear(window.placed({hat.id: 5}))
    window.clock.advance(10 * DAY_S)
    await window.hear(window.placed({shoe.id: 1}))

    window.clock.advance(19 * DAY_S)
    await window.service.forget()
    assert slugs((await window.page()).best_sellers) == ["hat", "shoe"]

    window.clock.advance(DAY_S)
    await window.service.forget()
    assert slugs((await window.page()).best_sellers) == ["shoe"]

    await window.hear(window.placed({hat.id: 9}, at=window.clock.now() - timedelta(days=40)))
    assert slugs((await window.page()).best_sellers) == ["shoe"]


async def test_cancelling_what_no_longer_counts_takes_nothing_from_what_does(window: Window):
    hat = window.record("hat")
    await window.hear(window.put(hat), window.placed({hat.id: 5}, order_id=(order := window.ids.new(slot=9))))
    window.clock.advance(30 * DAY_S)
    await window.hear(window.placed({hat.id: 2}))
    await window.service.forget()
    await window.service.forget()
    await window.hear(window.cancelled(order))

    assert slugs((await window.page()).best_sellers) == ["hat"]


async def test_an_order_is_not_taken_back_from_other_days_once_its_own_is_forgotten(
    small_window: Window, monkeypatch: pytest.MonkeyPatch
):
    """Sales and orders are forgotten one after the other: the process may end in between."""

    async def not_yet(tx: object, **bounds: int) -> int:
        return 0

    window = small_window
    hat = window.record("hat")
    await window.hear(window.put(hat), window.placed({hat.id: 5}, order_id=(order := window.ids.new(slot=9))))
    window.clock.advance(30 * DAY_S)
    await window.hear(window.placed({hat.id: 2}))
    monkeypatch.setattr(sales, "drop_orders", not_yet)
    await window.service.forget()
    await window.hear(window.cancelled(order))

    assert slugs((await window.page()).best_sellers) == ["hat"]


async def test_orders_of_products_not_heard_of_count_when_the_product_comes(window: Window):
    hat = window.record("hat")
    await window.hear(window.placed({hat.id: 1}))
    assert (await window.page()).best_sellers == ()

    await window.hear(window.put(hat))
    assert slugs((await window.page()).best_sellers) == ["hat"]


async def test_categories_count_active_products_and_show_one_of_their_pictures(window: Window):
    window.clock.advance(60)
    plain = window.record("plain", category=category("clothing/hats"))
    felt = window.record("felt", category=category("clothing/hats"), images=(image("felt"),), available=False)
    await window.hear(window.put(plain), window.put(felt))
    await window.hear(window.put(window.record("shoe", category=category("clothing/shoes/boots"))))
    await window.hear(window.put(window.record("loose")))

    front = await window.page(locale="zh")

    (clothing,) = front.categories
    assert (clothing.path, clothing.slug, clothing.name, clothing.products) == (
        "clothing",
        "clothing",
        "clothing（中）",
        3,
    )
    assert clothing.image == Picture(url="/media/felt.jpg", alt="felt（中）")
    assert [(child.path, child.products, child.children) for child in clothing.children] == [
        ("clothing/hats", 2, ()),
        ("clothing/shoes", 1, ()),
    ]
    assert clothing.children[1].image is None


async def test_a_product_that_moves_or_goes_leaves_its_category(window: Window):
    hat = window.record("hat", category=category("hats"), images=(image("hat"),))
    await window.hear(window.put(hat))
    assert counts(await window.page()) == {"hats": 1}

    await window.hear(window.put(window.record("hat", product_id=hat.id, version=2, category=category("caps/flat"))))
    front = await window.page()
    assert counts(front) == {"caps": 1, "caps/flat": 1}
    assert front.categories[0].image is None

    gone = window.record("hat", product_id=hat.id, version=3, category=category("caps/flat"), status="archived")
    await window.hear(window.put(gone))
    assert (await window.page()).categories == ()


async def test_texts_fall_back_to_the_parents_of_the_language_then_to_the_shops_own_then_to_any(window: Window):
    def named(**names: str) -> dict[str, Text]:
        return {locale.replace("_", "-"): Text(name=name) for locale, name in names.items()}

    for slug, texts in (
        ("exact", named(zh_Hant_TW="exact", zh_Hant="x", zh="x", en="x")),
        ("parent", named(zh_Hant="parent", zh="x", en="x")),
        ("language", named(zh="language", en="x", de="x")),
        ("default", named(de="x", en="default")),
        ("any", named(fr="x", de="any")),
    ):
        await window.hear(window.put(window.record(slug, texts=texts)))

    for item in (await window.page(locale="zh-Hant-TW")).new:
        assert item.name == item.slug


async def test_the_price_is_the_one_that_holds_when_the_page_is_read(window: Window):
    now = window.clock.now()
    sale = usd(700, valid_from=now + timedelta(hours=1), valid_to=now + timedelta(hours=2))
    other_list = usd(1, price_list="members")
    euro = PriceDraft(amount=950, currency="EUR", tax_included=True)
    await window.hear(window.put(window.record("hat", variants=(variant("HAT", usd(1000), sale, other_list, euro),))))

    async def price(**asked: str) -> tuple[Money | None, bool]:
        (item,) = (await window.page(**asked)).new
        assert item.price_from == item.price_to
        return item.price_from, item.tax_included

    assert await price() == (Money(1000, "USD"), False)
    assert await price(currency="EUR") == (Money(950, "EUR"), True)
    assert await price(currency="CNY") == (None, False)
    assert await price(price_list="members") == (Money(1, "USD"), False)
    window.clock.advance(3600)
    assert await price() == (Money(700, "USD"), False)
    window.clock.advance(3600)
    assert await price() == (Money(1000, "USD"), False)


async def test_the_page_answers_with_products_dead(window: Window):
    await window.hear(window.put(window.record("hat")))
    window.catalogue.is_dead = True

    assert slugs((await window.page()).new) == ["hat"]
