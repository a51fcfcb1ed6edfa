"""Pages know services by their contracts only, and their templates hold nothing that a strict policy forbids."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.arrows import SERVICES, imports

WEB = Path(__file__).parents[2] / "src" / "hansa" / "web"
TEMPLATES = sorted((WEB / "templates").rglob("*.html"))
FORBIDDEN = {
    "a script of its own": re.compile(r"<script(?![^>]*\b(src=|type=\"application/ld\+json\"))", re.I),
    "a style of its own": re.compile(r"<style|\sstyle=", re.I),
    "an event handler": re.compile(r"\son[a-z]+=|\shx-on", re.I),
    "something of another host": re.compile(r"(src|href|action|hx-get|hx-post)=\"(https?:)?//", re.I),
    "unescaped text": re.compile(r"\|\s*safe\b"),
}
MAY_BE_UNESCAPED = {"parts/icons.html", "admin/icons.html"}
"""Drawings that stand in the template itself."""


def wrong_arrows(*, source: str, module: str) -> list[str]:
    return [
        f"{module}:{line} imports {target}"
        for line, target in imports(source=source, module=module)
        if target.startswith(f"{SERVICES}.") and target.split(".")[3:4] != ["contract"]
    ]


def _modules() -> Iterator[tuple[str, str]]:
    for path in sorted(WEB.rglob("*.py")):
        yield "hansa.web." + ".".join(path.relative_to(WEB).with_suffix("").parts), path.read_text("utf-8")


def test_pages_import_of_services_nothing_but_contracts():
    assert [wrong for module, source in _modules() for wrong in wrong_arrows(source=source, module=module)] == []


@pytest.mark.parametrize(
    "source",
    [
        "from hansa.services.carts.service import CartsService",
        "from hansa.services.carts import store",
        "import hansa.services.orders.rules",
    ],
)
def test_a_page_that_reaches_into_a_service_is_found(source: str):
    assert wrong_arrows(source=source, module="hansa.web.storefront.cart")


def wrong_markup(text: str) -> list[str]:
    return [what for what, pattern in FORBIDDEN.items() if pattern.search(text)]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(WEB / "templates")))
def test_a_template_holds_nothing_that_the_policy_forbids(path: Path):
    allowed = ["unescaped text"] if str(path.relative_to(WEB / "templates")) in MAY_BE_UNESCAPED else []
    assert wrong_markup(path.read_text("utf-8")) == allowed


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        '<p style="color: red">',
        '<a href="#" onclick="go()">',
        '<img src="https://elsewhere.example/x.png" alt="">',
        "{{ product.name | safe }}",
        "<style>p { color: red }</style>",
    ],
)
def test_markup_that_the_policy_forbids_is_found(text: str):
    assert wrong_markup(text)
