"""Where the shop says that people reach it."""

from pathlib import Path

import pytest

from hansa.settings import Settings, SettingsInvalid, read_settings


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
