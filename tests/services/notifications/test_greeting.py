"""Whom a mail greets, when anybody may have typed the name."""

import pytest

from hansa.services.notifications.rules.mails import greeted


@pytest.mark.parametrize("name", ["Ada Byron", "王小明", "Jean-Luc O'Neill, Jr.", "Ms. Á. B. C."])
def test_people_are_greeted_by_name(name: str):
    assert greeted(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "Your parcel is held, pay at http://evil.example",
        "write to eve@example.com",
        "Your parcel could not be delivered because nobody paid, please answer",
    ],
)
def test_messages_in_place_of_a_name_are_not_passed_on(name: str):
    assert greeted(name) == ""
