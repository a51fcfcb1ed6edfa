"""Where paths lead."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.platform.http.router import Router


@pytest.fixture
def router() -> Router[str]:
    router: Router[str] = Router()
    for verb, path in (
        ("GET", "/"),
        ("GET", "/carts/{cart}"),
        ("PUT", "/carts/{name}"),
        ("GET", "/carts/current"),
        ("PUT", "/carts/{cart}/lines/{sku}"),
        ("GET", "/{locale}/"),
        ("GET", "/{locale}/categories/{path:path}"),
    ):
        router.add(path, verb, f"{verb} {path}")
    return router


@pytest.mark.parametrize(
    ("verb", "path", "target", "parts"),
    [
        ("GET", "/", "GET /", {}),
        ("GET", "/carts/7", "GET /carts/{cart}", {"cart": "7"}),
        ("PUT", "/carts/7", "PUT /carts/{name}", {"name": "7"}),
        ("GET", "/carts/current", "GET /carts/current", {}),
        ("PUT", "/carts/current", "PUT /carts/{name}", {"name": "current"}),
        ("PUT", "/carts/7/lines/A B", "PUT /carts/{cart}/lines/{sku}", {"cart": "7", "sku": "A B"}),
        ("GET", "/en/", "GET /{locale}/", {"locale": "en"}),
        (
            "GET",
            "/en/categories/a/b/c",
            "GET /{locale}/categories/{path:path}",
            {"locale": "en", "path": "a/b/c"},
        ),
        ("GET", "/carts/", "GET /{locale}/", {"locale": "carts"}),
    ],
)
def test_a_path_leads_to_its_route(router: Router[str], verb: str, path: str, target: str, parts: dict[str, str]):
    assert router.find(path, verb) == (target, parts)


@pytest.mark.parametrize("path", ["", "carts/7", "//", "/carts/7/", "/carts/7/lines/", "/en", "/carts//lines/A"])
def test_what_leads_nowhere_is_not_found(router: Router[str], path: str):
    assert router.find(path, "GET") is None
    assert router.verbs(path) == ()


def test_all_verbs_of_a_path_are_told(router: Router[str]):
    assert router.verbs("/carts/current") == ("GET", "PUT")
    assert router.verbs("/carts/7/lines/A") == ("PUT",)


@given(st.lists(st.text(st.characters(blacklist_characters="/"), min_size=1, max_size=5), min_size=1, max_size=5))
def test_named_parts_are_given_as_they_stand(parts: list[str]):
    router: Router[int] = Router()
    router.add("".join(f"/{{p{number}}}" for number in range(len(parts))), "GET", 1)

    assert router.find("/" + "/".join(parts), "GET") == (1, {f"p{number}": part for number, part in enumerate(parts)})
