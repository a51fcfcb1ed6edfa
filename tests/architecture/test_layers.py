"""The house stands as designed: arrows run one way, services have the same files, files stay short."""

import subprocess
import sys
from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

from tests.architecture import arrows

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "hansa"
SERVICES = SOURCE / "services"

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


def test_the_contracts_of_import_linter_hold(capsys: pytest.CaptureFixture[str]):
    status = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True)
    assert status == EXIT_STATUS_SUCCESS, capsys.readouterr().out


def test_every_file_of_a_service_imports_only_what_it_may():
    wrong = [
        line
        for path, module, is_package in (arrows.service_modules(services=SERVICES) if SERVICES.is_dir() else ())
        for line in arrows.wrong_imports(source=path.read_text(encoding="utf-8"), module=module, is_package=is_package)
    ]
    assert not wrong, "\n".join(wrong)


def test_every_service_has_only_the_permitted_files():
    wrong = arrows.misplaced(services=SERVICES) if SERVICES.is_dir() else []
    assert not wrong, "\n".join(wrong)


def test_no_module_is_too_long():
    wrong = arrows.too_long(source=SOURCE)
    assert not wrong, "\n".join(wrong)


def test_no_file_names_the_host_of_a_package_registry():
    wrong = [
        f"{path.relative_to(ROOT)}: {host}"
        for path in _kept_files()
        for host in REGISTRY_HOSTS
        if host.encode() in path.read_bytes()
    ]
    assert not wrong, "\n".join(wrong)


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


@pytest.mark.parametrize(
    ("part", "source"),
    [
        ("contract", "from hansa.services.carts.contract import Quote"),
        ("contract", "from hansa.services.orders import events"),
        ("contract", "import hansa.platform.rpc"),
        ("contract", "from ...platform import rpc"),
        ("events", "from hansa.services.orders.rules import draft"),
        ("rules", "from hansa.platform.database import Database"),
        ("rules", "from hansa.services.carts.events import CartEmptied"),
        ("tables", "from hansa.kernel.money import Money"),
        ("store", "from hansa.services.orders import rules"),
        ("store", "from . import service"),
        ("service", "from hansa.services.orders.api import routes"),
        ("service", "from hansa.services.orders import consumers"),
        ("service", "from hansa.services.inventory.store import reserve"),
        ("service", "from hansa.services import inventory"),
        ("service", "from hansa.services.inventory import *"),
        ("service", "from ..inventory import service"),
        ("service", "from hansa.platform import http"),
        ("service", "def place():\n    from hansa.services.inventory import rules"),
        ("service.place", "from ..api import routes"),
        ("service", "from hansa.settings import Settings"),
        ("service", "import hansa"),
        ("consumers", "from hansa.services.orders.store import find"),
        ("api", "from hansa.services.orders.service import OrdersService"),
        ("api", "from hansa.platform.database import Database"),
        ("manifest", "from hansa.services.carts.service import CartsService"),
        ("manifest", "from hansa.compose import compose"),
        ("helpers", ""),
    ],
)
def test_a_wrong_import_is_reported(part: str, source: str):
    assert arrows.wrong_imports(source=source, module=f"hansa.services.orders.{part}")


@pytest.mark.parametrize(
    ("part", "source"),
    [
        ("contract", "import msgspec\nfrom hansa.kernel.money import Money"),
        ("contract.errors", "from hansa.services.orders.contract.shapes import Order"),
        ("events", "from hansa.services.orders.contract import Order"),
        ("rules", "from hansa.services.carts.contract import Quote"),
        ("tables", "from hansa.platform.database import Table"),
        ("store", "from . import tables"),
        ("service", "from hansa.services.inventory.contract import Inventory\nfrom hansa.platform import database"),
        ("service.place", "from hansa.services.orders import rules, store\nfrom . import cancel"),
        ("consumers", "from hansa.services.payments import events"),
        ("api", "from hansa.platform.http.routes import Route\nfrom hansa.platform.security import seal"),
        ("manifest", "from hansa.services.orders import api, consumers, service"),
    ],
)
def test_a_right_import_is_not_reported(part: str, source: str):
    assert arrows.wrong_imports(source=source, module=f"hansa.services.orders.{part}") == []


def test_a_wrong_file_is_reported(tmp_path: Path):
    for name in ("utils.py", "orders/utils.py", "orders/rules.txt", "orders/models/a.py", "orders/migrations.py"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    for name in ("orders/rules.py", "orders/service/place.py", "orders/migrations/0001.py", "__init__.py"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()

    assert [line.partition(":")[0] for line in arrows.misplaced(services=tmp_path)] == [
        "utils.py",
        "orders/migrations.py",
        "orders/models",
        "orders/rules.txt",
        "orders/utils.py",
    ]


def test_a_long_module_is_reported(tmp_path: Path):
    (tmp_path / "migrations").mkdir()
    for name, lines in (("short.py", 400), ("long.py", 401), ("migrations/long.py", 401)):
        (tmp_path / name).write_text("x = 1\n" * lines)

    assert arrows.too_long(source=tmp_path) == ["long.py: 401 lines, more than 400"]


def test_a_wrong_layer_is_reported(tmp_path: Path):
    """The same contracts, over a house in which the kernel knows the platform."""
    house = tmp_path / "hansa"
    for layer in ("kernel", "platform"):
        (house / layer).mkdir(parents=True)
        (house / layer / "__init__.py").write_text('"""A layer."""\n')
    (house / "__init__.py").write_text('"""A house."""\n')
    (house / "kernel" / "__init__.py").write_text("import hansa.platform\n")

    done = subprocess.run(
        ["lint-imports", "--no-cache", "--config", str(ROOT / "pyproject.toml")],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "PATH": str(Path(sys.executable).parent)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1, done.stderr
    assert "hansa.kernel is not allowed to import hansa.platform" in done.stdout
