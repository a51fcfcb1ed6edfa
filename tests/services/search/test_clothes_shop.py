"""What shoppers of the demo's clothes type, in both languages, and what they expect to see."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.relevance import __main__ as relevance
from hansa.services.products.contract import ProductDraft
from hansa.services.search.rules import documents
from hansa.services.search.rules.ordering import Choice
from hansa.services.search.service.finding import Finding, Found, Request
from hansa.services.search.service.index import ProductIndex
from hansa.services.search.service.spelling import Spelling

CLOTHES = relevance.clothes()
OF_CATEGORY = {
    slug: {draft.slug for draft in CLOTHES if draft.category[-1].slug == slug}
    for slug in ("skirt", "dress", "pants", "shorts", "shoes")
}
Find = Callable[[str], Found]


@pytest.fixture(scope="module")
def find(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Find]:
    index = ProductIndex(folder=Path(tmp_path_factory.mktemp("search")), currencies=("USD",))
    index.put((_entry(place, draft) for place, draft in enumerate(CLOTHES, 1)), are_new=True)
    index.commit(as_of=relevance.NOW, is_complete=True)
    finding = Finding(index, Spelling(index.words()))

    def found(q: str) -> Found:
        return finding.find(
            Request(
                q=q,
                locale="en",
                languages=("en",),
                currency="USD",
                choice=Choice(),
                sort="relevance",
                limit=100,
                cursor=None,
            )
        )

    yield found
    index.close()


def _entry(place: int, draft: ProductDraft) -> documents.Entry:
    skus = frozenset(variant.sku for variant in draft.variants)
    return documents.entry(product_id=str(place), draft=draft, available=skus, now=relevance.NOW)


def slugs(found: Found) -> list[str]:
    return [CLOTHES[number - 1].slug for number in found.ids]


def of_material(*names: str) -> set[str]:
    return {draft.slug for draft in CLOTHES if draft.attributes["material"] in names}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("皮鞋", {"chukka-boots", "ring-loafers", "white-trainers"}),
        ("靴子", {"chukka-boots"}),
        ("短靴", {"chukka-boots"}),
        ("皮靴", {"chukka-boots"}),
        ("裤", OF_CATEGORY["pants"] | OF_CATEGORY["shorts"]),
        ("裤子", OF_CATEGORY["pants"]),
        ("裙", OF_CATEGORY["skirt"] | OF_CATEGORY["dress"]),
        ("裙子", OF_CATEGORY["skirt"] | OF_CATEGORY["dress"]),
        ("鞋", OF_CATEGORY["shoes"]),
        ("羊毛", of_material("wool", "wool blend")),
        ("亚麻", of_material("linen")),
        ("皮革", of_material("leather")),
        ("真皮", of_material("leather")),
        ("牛仔", of_material("cotton denim")),
        ("棕色", {"chukka-boots", "leather-zip-jacket", "tweed-pencil-skirt"}),
        ("黑色", {"leather-ball-cap", "speckled-tee"}),
    ],
)
def test_chinese_words_find_what_is_called_so_in_either_language(find: Find, query: str, expected: set[str]) -> None:
    assert expected <= set(slugs(find(query)))


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("皮靴", {"chukka-boots"}),
        ("红色裙子", {"raspberry-cargo-skirt"}),
        ("boots", {"chukka-boots"}),
        ("leather boots", {"chukka-boots"}),
    ],
)
def test_what_is_meant_most_of_all_comes_first(find: Find, query: str, first: set[str]) -> None:
    assert slugs(find(query))[0] in first


def test_chinese_that_is_cut_otherwise_is_found_by_its_signs(find: Find) -> None:
    assert "chukka-boots" in slugs(find("棕皮靴"))
    assert "raspberry-cargo-skirt" in slugs(find("莓红"))
    assert slugs(find("冰箱")) == []


@pytest.mark.parametrize("write", [str.upper, str.lower, str.title])
def test_a_sku_without_figures_finds_its_product_alone(find: Find, write: Callable[[str], str]) -> None:
    assert slugs(find(write("BAKER-BOY-CAP-BLAC-ONESIZE"))) == ["baker-boy-cap"]


def test_every_sku_finds_its_product_first(find: Find) -> None:
    for draft in CLOTHES:
        for variant in draft.variants:
            assert slugs(find(variant.sku.lower()))[0] == draft.slug, variant.sku


@pytest.mark.parametrize(
    ("typed", "meant", "first"),
    [
        ("lether bot", "leather boot", "chukka-boots"),
        ("lether", "leather", None),
        ("blak hat", "black hat", None),
        ("skrit", "skirt", None),
        ("trowsers", "trousers", None),
        ("wol cot", "wool coat", None),
    ],
)
def test_each_misspelt_word_is_mended_by_itself(find: Find, typed: str, meant: str, first: str | None) -> None:
    found = find(typed)

    assert found.corrected == meant
    assert found.ids
    assert first is None or slugs(found)[0] == first


def test_words_that_join_others_demand_nothing(find: Find) -> None:
    assert slugs(find("for shirts")) == slugs(find("shirts"))
    assert "amber-check-shirt" in slugs(find("shirt for men"))
