"""The law of the house for services: who may import whom, file by file, and which files there may be."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

KERNEL = "hansa.kernel"
PLATFORM = "hansa.platform"
SERVICES = "hansa.services"
MAX_LINES = 400


@dataclass(frozen=True, kw_only=True)
class Part:
    """What one file of a service may import; third-party packages and the standard library are not judged."""

    own: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()
    house: tuple[str, ...] = ()
    but_not: tuple[str, ...] = ()


def _part(*, own: str = "", others: str = "", house: tuple[str, ...] = (), but_not: tuple[str, ...] = ()) -> Part:
    return Part(own=frozenset(own.split()), others=frozenset(others.split()), house=house, but_not=but_not)


HTTP = f"{PLATFORM}.http"
DATABASE = f"{PLATFORM}.database"

# From fact to act, as in DESIGN section 1.
PARTS = {
    "__init__": _part(own="contract"),
    "contract": _part(house=(KERNEL,)),
    "events": _part(own="contract", house=(KERNEL,)),
    "rules": _part(own="contract events", others="contract", house=(KERNEL,)),
    "tables": _part(house=(DATABASE,)),
    "store": _part(own="contract tables", house=(KERNEL, DATABASE)),
    "service": _part(
        own="contract events rules tables store", others="contract", house=(KERNEL, PLATFORM), but_not=(HTTP,)
    ),
    "consumers": _part(own="contract events service", others="events", house=(KERNEL, PLATFORM), but_not=(HTTP,)),
    "api": _part(own="contract", house=(KERNEL, HTTP, f"{PLATFORM}.security")),
    "manifest": _part(
        own="contract events rules tables store service consumers api migrations",
        others="contract events",
        house=(KERNEL, PLATFORM),
    ),
    "migrations": _part(own="tables", house=(KERNEL, DATABASE)),
}
FOLDERS_ONLY = frozenset({"migrations"})
FILES_ONLY = frozenset({"__init__"})
UNJUDGED_FOLDERS = frozenset({"__pycache__"})


def wrong_imports(*, source: str, module: str, is_package: bool = False) -> list[str]:
    """Name every import in the source of a module inside hansa.services that the law forbids."""
    names = module.split(".")
    service, part = names[2], names[3] if len(names) > 3 else "__init__"
    if part not in PARTS:
        return [f"{module}: no service has a part named {part}"]
    return [
        f"{module}:{line} imports {target}: {part} may not"
        for line, target in sorted(set(_imports(source=source, module=module, is_package=is_package)))
        if not _is_allowed(target, service=service, part=part)
    ]


def misplaced(*, services: Path) -> list[str]:
    """Name every file and folder that a service may not have."""
    wrong = [
        f"{path.name}: a service is a folder"
        for path in sorted(services.iterdir())
        if path.is_file() and path.name != "__init__.py"
    ]
    for folder in _folders(services):
        for path in sorted(folder.iterdir()):
            if path.is_dir():
                allowed = path.name in UNJUDGED_FOLDERS or (path.name in PARTS and path.name not in FILES_ONLY)
            else:
                allowed = path.suffix == ".py" and path.stem in PARTS and path.stem not in FOLDERS_ONLY
            if not allowed:
                wrong.append(f"{folder.name}/{path.name}: a service has no such file")
    return wrong


def too_long(*, source: Path) -> list[str]:
    """Name every module of more than MAX_LINES lines; past that, it becomes a folder of the same name."""
    wrong = []
    for path in sorted(source.rglob("*.py")):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > MAX_LINES and "migrations" not in path.parts:
            wrong.append(f"{path.relative_to(source)}: {lines} lines, more than {MAX_LINES}")
    return wrong


def service_modules(*, services: Path) -> Iterator[tuple[Path, str, bool]]:
    """Every module of every service: its file, its name, and whether it is a package."""
    for folder in _folders(services):
        for path in sorted(folder.rglob("*.py")):
            names = path.relative_to(services).with_suffix("").parts
            is_package = names[-1] == "__init__"
            yield path, ".".join((SERVICES, *(names[:-1] if is_package else names))), is_package


def _folders(services: Path) -> list[Path]:
    return [path for path in sorted(services.iterdir()) if path.is_dir() and path.name not in UNJUDGED_FOLDERS]


def _imports(*, source: str, module: str, is_package: bool) -> Iterator[tuple[int, str]]:
    """Every import of something in hansa, wherever it stands, as line and full dotted name."""
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
            if _is_within(target, "hansa"):
                yield node.lineno, target


def _is_allowed(target: str, *, service: str, part: str) -> bool:
    law = PARTS[part]
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
