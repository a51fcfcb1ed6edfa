"""Where a source asks the time, draws by chance or leaves the loop by itself, instead of by what it was given."""

import ast
import random
from collections.abc import Iterator
from dataclasses import dataclass

BANNED = frozenset(
    {
        "time",
        "secrets",
        "threading",
        "_thread",
        "concurrent.futures",
        "multiprocessing",
        "subprocess",
        "uuid.uuid1",
        "uuid.uuid4",
        "uuid.getnode",
        "os.urandom",
        "os.getrandom",
        "os.fork",
        "asyncio.sleep",
        "asyncio.tasks",
        "asyncio.to_thread",
        "asyncio.threads",
        # All that the module's own generator draws, and the one that cannot be seeded; `Random` is what is passed in.
        *(f"random.{name}" for name in random.__all__ if name != "Random"),
    }
)
"""Names with all that is in them."""
LOOPS = frozenset({"asyncio.get_running_loop", "asyncio.get_event_loop", "asyncio.new_event_loop"})
EXECUTOR = "run_in_executor"
LOOP_TIME = "loop.time"
UNSEEDED = "random.Random()"


@dataclass(frozen=True, order=True)
class Use:
    """Something that is banned, by the name it is banned under, in a line of a source."""

    line: int
    name: str


def uses(source: str) -> list[Use]:
    """Every use of what is banned, under whichever name it was imported."""
    tree = ast.parse(source)
    names = dict(_imported(tree))
    loops = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and _is_loop(node.value, names=names, loops=frozenset())
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    return sorted({Use(line, name) for line, name in _found(tree, names=names, loops=frozenset(loops))})


def _found(tree: ast.Module, *, names: dict[str, str], loops: frozenset[str]) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from ((node.lineno, ban) for ban in _bans(alias.name))
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                if alias.name == "*":
                    yield from ((node.lineno, ban) for ban in sorted(BANNED) if f"{ban}.".startswith(f"{node.module}."))
                yield from ((node.lineno, ban) for ban in _bans(f"{node.module}.{alias.name}"))
        elif isinstance(node, (ast.Name, ast.Attribute)):
            yield from ((node.lineno, ban) for ban in _bans(_full_name(node, names)))
            if isinstance(node, ast.Attribute) and node.attr == EXECUTOR:
                yield node.lineno, EXECUTOR
            if (
                isinstance(node, ast.Attribute)
                and node.attr == "time"
                and _is_loop(node.value, names=names, loops=loops)
            ):
                yield node.lineno, LOOP_TIME
        elif isinstance(node, ast.Call) and _full_name(node.func, names) == "random.Random":
            # Without a seed, or with None for one, it seeds itself.
            given = [*node.args, *(keyword.value for keyword in node.keywords)]
            if not any(not isinstance(each, ast.Constant) or each.value is not None for each in given):
                yield node.lineno, UNSEEDED


def _imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """The names that imports bind, and what they stand for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                yield (alias.asname, alias.name) if alias.asname else (top, top)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _full_name(node: ast.expr, names: dict[str, str]) -> str:
    """`times.sleep` after `import time as times` is time.sleep; empty for what no import brought."""
    if isinstance(node, ast.Name):
        return names.get(node.id, "")
    if isinstance(node, ast.Attribute) and (owner := _full_name(node.value, names)):
        return f"{owner}.{node.attr}"
    return ""


def _bans(name: str) -> list[str]:
    return [ban for ban in BANNED if name == ban or name.startswith(f"{ban}.")]


def _is_loop(node: ast.expr, *, names: dict[str, str], loops: frozenset[str]) -> bool:
    """Whether this is an event loop: just asked for, kept in a variable, or called one."""
    if isinstance(node, ast.Call):
        return _full_name(node.func, names) in LOOPS
    if isinstance(node, ast.Name):
        return node.id in loops or node.id.strip("_") == "loop"
    return isinstance(node, ast.Attribute) and node.attr.strip("_") == "loop"
