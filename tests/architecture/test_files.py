"""Which files there may be, how long they may be, and what none of them may name."""

import subprocess
from collections.abc import Iterable
from pathlib import Path

from tests.architecture import arrows

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "hansa"
MAX_LINES = 400
FOLDERS_ONLY = frozenset({"migrations"})
FILES_ONLY = frozenset({"__init__"})

# Written in two halves, so that this file does not find itself.
REGISTRY_HOSTS = [
    first + second
    for first, second in [
        ("pypi.", "org"),
        ("pypi.python.", "org"),
        ("python", "hosted.org"),
        ("registry.npm", "js.org"),
        ("registry.yarn", "pkg.com"),
        ("crates", ".io"),
        ("proxy.golang", ".org"),
        ("ruby", "gems.org"),
    ]
]


def misplaced(*, services: Path) -> list[str]:
    """Name every file and folder that a service may not have."""
    wrong = [
        f"{path.name}: a service is a folder"
        for path in sorted(services.iterdir())
        if path.is_file() and path.name != "__init__.py"
    ]
    for folder in arrows.folders(services):
        for path in sorted(folder.iterdir()):
            if not (_may_be_a_folder(path.name) if path.is_dir() else _may_be_a_file(path)):
                wrong.append(f"{folder.name}/{path.name}: a service has no such file")
    return wrong


def _may_be_a_folder(name: str) -> bool:
    return name in arrows.UNJUDGED_FOLDERS or (name in arrows.PARTS and name not in FILES_ONLY)


def _may_be_a_file(path: Path) -> bool:
    return path.suffix == ".py" and path.stem in arrows.PARTS and path.stem not in FOLDERS_ONLY


def too_long(*, source: Path) -> list[str]:
    """Name every module of more than MAX_LINES lines; past that, it becomes a folder of the same name."""
    wrong = []
    for path in sorted(source.rglob("*.py")):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > MAX_LINES and "migrations" not in path.parts:
            wrong.append(f"{path.relative_to(source)}: {lines} lines, more than {MAX_LINES}")
    return wrong


def registries_named(files: Iterable[Path]) -> list[str]:
    """Name every file that names the host of a package registry: where packages come from is the machine's to say."""
    return [f"{path}: {host}" for path in files for host in REGISTRY_HOSTS if host.encode() in path.read_bytes()]


def test_every_service_has_only_the_permitted_files() -> None:
    assert misplaced(services=SOURCE / "services") == []


def test_a_wrong_file_is_reported(tmp_path: Path) -> None:
    _fill(tmp_path, "utils.py", "orders/utils.py", "orders/rules.txt", "orders/models/a.py", "orders/migrations.py")
    _fill(tmp_path, "orders/rules.py", "orders/service/place.py", "orders/migrations/0001.py", "__init__.py")

    assert [line.partition(":")[0] for line in misplaced(services=tmp_path)] == [
        "utils.py",
        "orders/migrations.py",
        "orders/models",
        "orders/rules.txt",
        "orders/utils.py",
    ]


def test_no_module_is_too_long() -> None:
    assert too_long(source=SOURCE) == []


def test_a_long_module_is_reported(tmp_path: Path) -> None:
    _fill(tmp_path, "short.py", lines=MAX_LINES)
    _fill(tmp_path, "long.py", "migrations/long.py", lines=MAX_LINES + 1)

    assert too_long(source=tmp_path) == ["long.py: 401 lines, more than 400"]


def test_no_file_names_the_host_of_a_package_registry() -> None:
    assert registries_named(_kept_files()) == []


def test_a_file_that_names_the_host_of_a_package_registry_is_reported(tmp_path: Path) -> None:
    for number, host in enumerate(REGISTRY_HOSTS):
        (tmp_path / f"{number}.txt").write_text(f"--index-url https://{host}/simple\n")
    _fill(tmp_path, "good.txt")

    reported = {line.partition(":")[0] for line in registries_named(sorted(tmp_path.iterdir()))}

    assert reported == {str(tmp_path / f"{number}.txt") for number in range(len(REGISTRY_HOSTS))}


def _fill(folder: Path, *names: str, lines: int = 0) -> None:
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x = 1\n" * lines)


def _kept_files() -> list[Path]:
    """What is tracked, or would be with the next commit; without git, what the project consists of."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listing.returncode == 0:
        files = [ROOT / name for name in listing.stdout.split("\0") if name]
    else:
        files = [path for name in ("src", "tests", "requirements") for path in (ROOT / name).rglob("*")]
        files += ROOT.glob("*")
    return [path for path in files if path.is_file()]
