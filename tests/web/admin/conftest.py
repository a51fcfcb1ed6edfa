"""A shop with its staff pages, and members of the staff who work in them without a browser."""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp
import pytest

from tests.shops import STAFF, OpenedShop
from tests.web.conftest import Answer, Pages, Visitor

_INPUT = re.compile(r"<input\b([^>]*)>")
_AREA = re.compile(r"<textarea\b([^>]*)>\n?(.*?)</textarea>", re.S)
_SELECT = re.compile(r"<select\b([^>]*)>(.*?)</select>", re.S)
_CHOSEN = re.compile(r'<option value="([^"]*)"[^>]* selected>')
_ATTRIBUTE = re.compile(r'([a-z-]+)(?:="([^"]*)")?')
File = tuple[str, str, bytes]
"""The field, the name of the file, and its content."""


@dataclass(kw_only=True)
class Office:
    """A shop, one of the staff, and somebody else of them."""

    pages: Pages
    staff: Visitor
    colleague: Visitor

    @property
    def shop(self) -> OpenedShop:
        return self.pages.shop

    @property
    def token(self) -> str:
        return self.staff.cookies["session"]

    async def upload(self, path: str, fields: dict[str, str], files: Sequence[File], **headers: str) -> Answer:
        """A form with files, as a browser sends it."""
        form = aiohttp.FormData()
        for name, value in fields.items():
            form.add_field(name, value)
        for name, filename, content in files:
            form.add_field(name, content, filename=filename, content_type="application/octet-stream")
        return await self.staff._ask("POST", path, form, {"Origin": self.staff.origin, **headers})  # type: ignore[arg-type]


def form_of(text: str, action: str) -> list[tuple[str, str]]:
    """What a browser would send of the form with this action, as the page was shown."""
    found = re.search(rf'<form\b[^>]*action="{re.escape(action)}"[^>]*>(.*?)</form>', text, re.S)
    assert found is not None, f"no form for {action}"
    inside = found[1]
    fields = []
    for match in _INPUT.finditer(inside):
        said = {name: html.unescape(value) for name, value in _ATTRIBUTE.findall(match[1])}
        is_off = said.get("type") in ("checkbox", "radio") and "checked" not in said
        if "name" in said and not is_off and said.get("type") not in ("submit", "file"):
            fields.append((said["name"], said.get("value", "")))
    for match in _AREA.finditer(inside):
        said = dict(_ATTRIBUTE.findall(match[1]))
        fields.append((html.unescape(said["name"]), html.unescape(match[2])))
    for match in _SELECT.finditer(inside):
        said = dict(_ATTRIBUTE.findall(match[1]))
        chosen = _CHOSEN.search(match[2])
        first = re.search(r'<option value="([^"]*)"', match[2])
        value = chosen[1] if chosen else first[1] if first else ""
        fields.append((html.unescape(said["name"]), html.unescape(value)))
    return fields


def changed(fields: list[tuple[str, str]], **values: str) -> list[tuple[str, str]]:
    """A form with other values in some fields; `__` in a name stands for a dot."""
    wanted = {name.replace("__", "."): value for name, value in values.items()}
    known = [(name, wanted.pop(name) if name in wanted else value) for name, value in fields]
    return [*known, *wanted.items()]


@pytest.fixture
async def office(pages: Pages) -> Office:
    token = await pages.shop.staff()
    staff, colleague = pages.visitor(), pages.visitor()
    staff.cookies["session"] = token
    colleague.cookies["session"] = await pages.shop.sign_in(*STAFF)
    return Office(pages=pages, staff=staff, colleague=colleague)
