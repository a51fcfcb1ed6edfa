"""Where the shop says that people reach it, whom its mails are from, and which variables mean nothing."""

from pathlib import Path

import pytest

from hansa.settings import Settings, SettingsInvalid, read_settings, unknown_variables


def settings(folder: Path, **values: str) -> Settings:
    file = folder / "hansa.toml"
    file.touch()
    return read_settings({"HANSA_CONFIG": str(file)} | {f"HANSA_{name.upper()}": text for name, text in values.items()})


@pytest.mark.parametrize(
    ("values", "address"),
    [
        ({}, "http://127.0.0.1:8000"),
        ({"host": "::1", "port": "81"}, "http://[::1]:81"),
        ({"public_url": "https://shop.example.com"}, "https://shop.example.com"),
        ({"public_url": "https://shop.example.com/"}, "https://shop.example.com"),
        ({"public_url": "http://localhost:8080", "port": "9000"}, "http://localhost:8080"),
        ({"public_url": "http://[2001:db8::1]:8080"}, "http://[2001:db8::1]:8080"),
    ],
)
def test_links_begin_with_the_public_address_or_else_with_where_the_shop_listens(
    tmp_path: Path, values: dict[str, str], address: str
) -> None:
    assert settings(tmp_path, **values).public_address == address


@pytest.mark.parametrize(
    "url",
    [
        "shop.example.com",
        "//shop.example.com",
        "ftp://shop.example.com",
        "javascript:alert(1)",
        "https://",
        "https:///path",
        "https://shop.example.com/shop",
        "https://shop.example.com/?a=b",
        "https://shop.example.com?",
        "https://shop.example.com#top",
        "https://user:secret@shop.example.com",
        "https://shop.example.com:99999",
        "https://shop.example.com:port",
        "https://shop.exam ple.com",
        "https://shop.example.com\nBcc: eve@example.com",
        'https://shop.example.com"><script>',
        "https://[::1",
        "https://shöp.example.com",
    ],
)
def test_what_is_no_address_of_a_host_is_refused_by_name(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsInvalid, match="public_url"):
        settings(tmp_path, public_url=url)


@pytest.mark.parametrize(
    ("values", "sender"),
    [
        ({}, "Hansa <shop@example.com>"),
        ({"shop_name": "Elster & Co"}, '"Elster & Co" <shop@example.com>'),
        ({"shop_name": 'The "Hat"'}, '"The \\"Hat\\"" <shop@example.com>'),
        ({"shop_name": "Elster", "mail_from": "Ada <ada@example.org>"}, "Ada <ada@example.org>"),
    ],
)
def test_mails_are_from_the_shop_by_its_name_unless_another_sender_is_set(
    tmp_path: Path, values: dict[str, str], sender: str
) -> None:
    assert settings(tmp_path, **values).sender == sender


def test_a_misspelt_variable_is_known_as_one() -> None:
    meant = {"HANSA_PORT": "1", "HANSA_CONFIG": "x", "HANSA_NO_SKIPS": "1", "PATH": "/"}
    assert unknown_variables(meant | {"HANSA_PROT": "1", "HANSA_": "1"}) == ["HANSA_", "HANSA_PROT"]
