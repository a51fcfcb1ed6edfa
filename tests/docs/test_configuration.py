"""The reference of settings says what the settings say."""

from pathlib import Path

import msgspec

from hansa.settings import Settings
from hansa.settings_reference import reference

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_page_is_what_make_docs_would_write() -> None:
    assert PAGE.read_text("utf-8") == reference(), "the settings have changed: run `make docs`"


def test_every_setting_is_described() -> None:
    sections = {section.partition("`\n")[0]: section for section in reference().split("\n## `")[1:]}

    assert list(sections) == [field.name for field in msgspec.structs.fields(Settings)]
    for name, section in sections.items():
        _, said, words = section.strip().split("\n\n", 2)
        assert said.startswith(f"`HANSA_{name.upper()}` · "), name
        assert len(words) > 10, f"{name} has no description"


def test_kinds_and_defaults_are_told() -> None:
    page = reference()

    assert "`HANSA_PORT` · whole number from 1 to 65535 · default: `8000`" in page
    assert "`HANSA_CURRENCIES` · list, not empty · default: `USD` `EUR` `CNY`" in page
    assert "`HANSA_COUNTRIES` · list · default: empty" in page
    assert "`HANSA_SANDBOX_PAYMENTS` · `true` or `false` · default: `true`" in page
    assert "`HANSA_LOG_LEVEL` · `DEBUG` or `INFO` or `WARNING` or `ERROR` · default: `INFO`" in page
