"""What each file of a service may import, as in the table of docs/architecture.md."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

KERNEL = "hansa.kernel"
PLATFORM = "hansa.platform"
SERVICES = "hansa.services"


@dataclass(frozen=True, kw_only=True)
class Part:
    """What one file of a service may import. Of third-party packages and the standard library only those that speak
    SQL are judged."""

    own: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()
    house: tuple[str, ...] = ()
    but_not: tuple[str, ...] = ()
    may_speak_sql: bool = False


def _part(
    *,
    own: str = "",
    others: str = "",
    house: tuple[str, ...] = (),
    but_not: tuple[str, ...] = (),
    may_speak_sql: bool = False,
) -> Part:
    return Part(
        own=frozenset(own.split()),
        others=frozenset(others.split()),
        house=house,
        but_not=but_not,
        may_speak_sql=may_speak_sql,
    )


HTTP = f"{PLATFORM}.http"
DATABASE = f"{PLATFORM}.database"
STATEMENTS = (f"{DATABASE}.statement", f"{DATABASE}.platform_tables")
SQL = ("sqlalchemy", "sqlite3", "asyncpg", "alembic")

# From fact to act.
PARTS = {
    "__init__": _part(own="contract"),
    "contract": _part(house=(KERNEL,)),
    "events": _part(own="contract", house=(KERNEL,)),
    "rules": _part(own="contract events", others="contract", house=(KERNEL,)),
    "tables": _part(house=(DATABASE,), may_speak_sql=True),
    "store": _part(own="contract tables", house=(KERNEL, DATABASE), may_speak_sql=True),
    "service": _part(
        own="contract events rules tables store",
        others="contract",
        house=(KERNEL, PLATFORM),
        but_not=(HTTP, *STATEMENTS),
    ),
    "consumers": _part(
        own="contract events service", others="events", house=(KERNEL, PLATFORM), but_not=(HTTP, *STATEMENTS)
    ),
    "api": _part(own="contract", house=(KERNEL, HTTP, f"{PLATFORM}.security")),
    "manifest": _part(
        own="contract events rules tables store service consumers api migrations",
        others="contract events",
        house=(KERNEL, PLATFORM),
        but_not=STATEMENTS,
    ),
    "migrations": _part(own="tables", house=(KERNEL, DATABASE), may_speak_sql=True),
}
UNJUDGED_FOLDERS = frozenset({"__pycache__"})


def wrong_imports(*, source: str, module: str, is_package: bool = False) -> list[str]:
    """Name every import in the source of a module inside hansa.services that the law forbids."""
    names = module.split(".")
    service, part = names[2], names[3] if len(names) > 3 else "__init__"
    if part not in PARTS:
        return [f"{module}: no service has a part named {part}"]
    return [
        f"{module}:{line} imports {target}: {part} may not"
        for line, target in sorted(set(imports(source=source, module=module, is_package=is_package)))
        if not _is_allowed(target, service=service, part=part)
    ]


def service_modules(*, services: Path) -> Iterator[tuple[Path, str, bool]]:
    """Every module of every service: its file, its name, and whether it is a package."""
    for folder in folders(services):
        for path in sorted(folder.rglob("*.py")):
            names = path.relative_to(services).with_suffix("").parts
            is_package = names[-1] == "__init__"
            yield path, ".".join((SERVICES, *(names[:-1] if is_package else names))), is_package


def folders(services: Path) -> list[Path]:
    """The folder of each service."""
    return [path for path in sorted(services.iterdir()) if path.is_dir() and path.name not in UNJUDGED_FOLDERS]


def imports(*, source: str, module: str, is_package: bool = False) -> Iterator[tuple[int, str]]:
    """Every import of something in hansa or of SQL, wherever it stands, as line and full dotted name."""
    package = module.split(".") if is_package else module.split(".")[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            origin = package[: len(package) - node.level + 1] if node.level else []
            origin = [*origin, node.module] if node.module else origin
            targets = [".".join([*origin, alias.name] if alias.name != "*" else origin) for alias in node.names]
        else:
            continue
        for target in targets:
            if any(_is_within(target, name) for name in ("hansa", *SQL)):
                yield node.lineno, target


def _is_allowed(target: str, *, service: str, part: str) -> bool:
    law = PARTS[part]
    if not _is_within(target, "hansa"):
        return law.may_speak_sql
    if not _is_within(target, SERVICES):
        return any(_is_within(target, name) for name in law.house) and not any(
            _is_within(target, name) for name in law.but_not
        )
    names = target.split(".")[2:]
    if len(names) < 2:
        return False  # a whole service, or all of them
    if names[0] == service:
        return names[1] in law.own or names[1] == part
    return names[1] in law.others


def _is_within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")
