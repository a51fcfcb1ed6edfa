"""The reference of all settings as Markdown (docs/configuration.md), made of what `Settings` says of itself."""

from typing import Any, get_args, get_type_hints

import msgspec

from hansa.platform.field_words import field_words
from hansa.settings import Settings

_HEAD = """\
# Configuration

<!-- Written by `make docs` from src/hansa/settings.py; change it there. -->

No setting is needed: without any, everything is embedded, in one process, on this machine.

Settings stand in `hansa.toml` in the working folder, or in the file that the environment variable `HANSA_CONFIG` names,
and in environment variables, which win. A name in the file that is not listed here is refused, and so is a value that
is not what it must be: the command says which one, and ends with status 2.

```toml
port = 8080
data = "/var/lib/hansa"
currencies = ["EUR", "USD"]
sandbox_payments = false
```

```sh
HANSA_PORT=8080 HANSA_DATA=/var/lib/hansa HANSA_CURRENCIES=EUR,USD HANSA_SANDBOX_PAYMENTS=false hansa serve
```

In the environment, lists are separated by commas. Passwords are better kept there than in the file: `staff_password`,
and what stands in `database` and `mail`.
"""
_PLAIN = {"string": "text", "integer": "whole number", "boolean": "`true` or `false`"}


def reference() -> str:
    """The page: of each setting its name, its variable, what it may be, what it is if nobody sets it, and its words."""
    words = field_words(Settings)
    hints = get_type_hints(Settings)
    properties: dict[str, Any] = msgspec.json.schema(Settings)["$defs"][Settings.__name__]["properties"]
    sections = [_HEAD, *(_section(name, facts, hints[name], words[name]) for name, facts in properties.items())]
    return "\n".join(sections)


def _section(name: str, facts: dict[str, Any], hint: Any, words: str) -> str:
    said = f"`HANSA_{name.upper()}` · {_kind(facts, hint)} · default: {_default(facts['default'])}"
    return f"## `{name}`\n\n{said}\n\n{words}\n"


def _kind(facts: dict[str, Any], hint: Any) -> str:
    if "enum" in facts:
        return " or ".join(f"`{value}`" for value in get_args(hint))  # unlike the schema, in the order as written
    if facts["type"] == "array":
        return "list" + (", not empty" if facts.get("minItems") else "")
    kind = _PLAIN[facts["type"]]
    if "minimum" in facts and "maximum" in facts:
        return f"{kind} from {facts['minimum']} to {facts['maximum']}"
    return kind + (f" of at most {facts['maxLength']} characters" if "maxLength" in facts else "")


def _default(value: Any) -> str:
    if value in ("", [], ()):
        return "empty"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return " ".join(f"`{item}`" for item in value) if isinstance(value, list | tuple) else f"`{value}`"
