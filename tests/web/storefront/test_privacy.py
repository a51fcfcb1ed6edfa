"""What visitors are told and asked about being watched; the script that acts on it is tested in a browser."""

import re

from hansa.services.recommendations.contract import Behaviour
from hansa.web.assets import FOLDER
from tests.web.conftest import Pages


async def test_the_page_says_what_is_stored_and_lets_one_choose_both_ways(pages: Pages):
    for locale in ("en", "zh"):
        text = (await pages.visitor().open(f"/{locale}/privacy")).text
        assert re.findall(r'data-choose="(\w+)" aria-pressed="false"', text) == ["yes", "no"]
        assert re.findall(r'data-when="(\w+)"', text) == ["none", "yes", "no", "signal"]
        assert '<div id="privacy-choice" hidden>' in text
        assert "data-without-scripts" in text


async def test_the_question_waits_in_every_page_in_its_language_and_neither_answer_is_easier(pages: Pages):
    for locale, words in (("en", "No, thank you"), ("zh", "不用了")):
        text = (await pages.visitor().open(f"/{locale}/")).text
        question = re.search(r'<template id="consent">(.*?)</template>', text, re.DOTALL)
        assert question is not None
        assert words in question[1]
        buttons = re.findall(r'<button class="([^"]*)" type="button" data-choose="(\w+)">', question[1])
        assert [choice for _, choice in buttons] == ["yes", "no"]
        assert len({look for look, _ in buttons}) == 1
        assert f'href="/{locale}/privacy"' in question[1]


def test_the_script_sends_no_more_than_is_taken_and_sets_no_cookie():
    text = (FOLDER / "beacon.js").read_text("utf-8")
    kinds = set(re.findall(r'kind: "(\w+)"', text))
    assert kinds <= set(Behaviour.__annotations__["kind"].__args__)
    assert kinds == {"view", "search", "impression", "click", "add_to_cart"}
    assert "document.cookie" not in text
    assert int(re.search(r"BATCH = (\d+)", text)[1]) <= 50  # type: ignore[index]
