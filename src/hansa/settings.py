"""One frozen struct of settings; an empty file means everything embedded, in one process.

Read from a TOML file (`HANSA_CONFIG`, else `hansa.toml` in the working folder if it is there) and from the
environment, which wins: the setting `staff_email` is `HANSA_STAFF_EMAIL`, lists are separated by commas.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from hansa.kernel.address import Country
from hansa.kernel.channel import MAIN, Channel
from hansa.kernel.money import Currency


class SettingsInvalid(Exception):
    """A setting is unknown or not what it must be; the text says which."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What can be set, and what it is when it is not."""

    host: str = "127.0.0.1"
    """The address to listen on; only this machine by default."""
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 8000
    data: Annotated[str, msgspec.Meta(min_length=1)] = "data"
    """The folder that the shop owns: databases, keys, mails."""
    database: str = "sqlite:"
    """`sqlite:` (files in the data folder) or `postgresql://user:password@host/name`."""
    mail: str = "folder:"
    """`folder:` (files in the data folder) or `smtp://user:password@host:port`, `smtps://…`."""
    mail_from: str = "Hansa <shop@example.com>"
    staff_email: str = ""
    staff_password: str = ""
    countries: tuple[Country, ...] = ()
    """Countries sold to (ISO 3166-1 alpha-2); empty means all that shipping has rates for."""
    currencies: Annotated[tuple[Currency, ...], msgspec.Meta(min_length=1)] = ("USD", "EUR", "CNY")
    locales: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] = ("en", "zh")
    sandbox_payments: bool = True
    """Whether the sandbox provider, which moves no real money, is offered."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_json: bool = True

    @property
    def folder(self) -> Path:
        return Path(self.data)

    @property
    def channel(self) -> Channel:
        return Channel(name=MAIN, countries=self.countries, currencies=self.currencies, locales=self.locales)


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings of this process. Raises SettingsInvalid with the setting's name."""
    file = Path(environment.get("HANSA_CONFIG", "hansa.toml"))
    values: dict[str, Any] = {}
    if file.exists():
        try:
            values = tomllib.loads(file.read_text("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsInvalid(f"{file} is not valid TOML: {error}") from None
    elif "HANSA_CONFIG" in environment:
        raise SettingsInvalid(f"HANSA_CONFIG names {file}, which does not exist")
    for field in msgspec.structs.fields(Settings):
        if (text := environment.get(f"HANSA_{field.name.upper()}")) is not None:
            is_list = isinstance(field.default, tuple)
            values[field.name] = [part.strip() for part in text.split(",") if part.strip()] if is_list else text
    try:
        return msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        reason, _, place = str(error).partition(" - at `$.")
        name = place.rstrip("`").partition("[")[0]
        where = f"{name} (HANSA_{name.upper()})" if name else "the settings file"
        raise SettingsInvalid(f"{where} is wrong: {reason}") from None
