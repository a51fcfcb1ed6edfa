"""How the real code is made wrong for as long as a run goes on, and put right again."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.simulation.storage import Store


@contextmanager
def replaced(owner: Any, **values: Any) -> Iterator[None]:
    """Names of a module or a class stand for something else meanwhile."""
    before = {name: vars(owner)[name] for name in values}
    for name, value in values.items():
        setattr(owner, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(owner, name, value)


@contextmanager
def without_constraints() -> Iterator[None]:
    """Tables without their CHECKs: the last line of defence, which would hide that those before it are gone."""
    open_store = Store.__init__

    def open_unguarded(self: Store, *arguments: Any, **more: Any) -> None:
        open_store(self, *arguments, **more)
        self.connection.execute("PRAGMA ignore_check_constraints = ON")

    with replaced(Store, __init__=open_unguarded):
        yield
