"""Contracts: what one service may be asked by another, near or far.

A contract is a `typing.Protocol` of keyword-only async methods over frozen `msgspec.Struct`s. Each method is marked
`@query` (changes nothing; may be retried, hedged, cached) or `@command` (takes an idempotency `key`; may be repeated
with the same key only).
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Annotated, Any, TypeVar, get_type_hints

import msgspec

from hansa.kernel.errors import BusinessError, CommandInFlight, IdempotencyKeyReused

F = TypeVar("F", bound=Callable[..., Any])

Key = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
"""An idempotency key: the same key always means the same act."""

DEFAULT_TIMEOUT_MS = 5_000
_MARK = "__hansa_method__"


@dataclass(frozen=True)
class Method:
    """One method of a contract: how it is called, how it may say no, and how long it may take."""

    contract: type
    name: str
    is_command: bool
    errors: tuple[type[BusinessError], ...]
    timeout_ms: int
    function: Callable[..., Any]

    @cached_property
    def arguments(self) -> type[msgspec.Struct]:
        """The argument struct, derived from the signature: there is no other description of the wire."""
        hints = get_type_hints(self.function, include_extras=True)
        fields: list[Any] = []
        for parameter in list(inspect.signature(self.function).parameters.values())[1:]:
            if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
                raise TypeError(f"{self.contract.__name__}.{self.name}: {parameter.name} must be keyword-only")
            field = (parameter.name, hints[parameter.name])
            fields.append(field if parameter.default is inspect.Parameter.empty else (*field, parameter.default))
        return msgspec.defstruct(f"{self.contract.__name__}_{self.name}", fields, frozen=True, kw_only=True)

    @cached_property
    def answer(self) -> Any:
        return get_type_hints(self.function, include_extras=True)["return"]


def query(*, errors: tuple[type[BusinessError], ...] = (), timeout_ms: int = DEFAULT_TIMEOUT_MS) -> Callable[[F], F]:
    """Mark a method that changes nothing."""
    return _mark(is_command=False, errors=errors, timeout_ms=timeout_ms)


def command(*, errors: tuple[type[BusinessError], ...] = (), timeout_ms: int = DEFAULT_TIMEOUT_MS) -> Callable[[F], F]:
    """Mark a method that changes something; it must take `key`. Every command may say no to its key, undeclared."""
    every = tuple(dict.fromkeys((*errors, IdempotencyKeyReused, CommandInFlight)))
    return _mark(is_command=True, errors=every, timeout_ms=timeout_ms)


def _mark(**facts: Any) -> Callable[[F], F]:
    def mark(function: F) -> F:
        setattr(function, _MARK, facts)
        return function

    return mark


@lru_cache(maxsize=256)
def methods_of(contract: Any) -> dict[str, Method]:
    """Every method of a contract by name. Raises TypeError for one that is not marked or a command without a key."""
    methods = {}
    for name, function in inspect.getmembers(contract, inspect.isfunction):
        if name.startswith("_"):
            continue
        facts = getattr(function, _MARK, None)
        if facts is None:
            raise TypeError(f"{contract.__name__}.{name} is neither a query nor a command")
        if facts["is_command"] and "key" not in inspect.signature(function).parameters:
            raise TypeError(f"{contract.__name__}.{name} is a command and takes no key")
        methods[name] = Method(contract=contract, name=name, function=function, **facts)
    return methods


def method_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The mark of one contract method, for those who hold only the function (public routes)."""
    facts: dict[str, Any] = getattr(function, _MARK)
    return facts
