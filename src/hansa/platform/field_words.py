"""What the source says of the fields of a struct: the docstrings under them, which are not there at run time."""

import ast
import inspect
import sys
from functools import lru_cache


def field_words(struct: type) -> dict[str, str]:
    """The words under each field that the struct itself declares, by name; empty for a field without any.

    Raises OSError where there is no source.
    """
    return _classes(struct.__module__).get(struct.__qualname__, {})


@lru_cache(maxsize=64)
def _classes(module: str) -> dict[str, dict[str, str]]:
    """The structs that stand at the top of a module."""
    source = ast.parse(inspect.getsource(sys.modules[module]))
    return {node.name: _words(node) for node in source.body if isinstance(node, ast.ClassDef)}


def _words(declared: ast.ClassDef) -> dict[str, str]:
    words = {}
    for field, following in zip(declared.body, [*declared.body[1:], ast.Pass()], strict=True):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            words[field.target.id] = ""
            if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
                words[field.target.id] = inspect.cleandoc(str(following.value.value))
    return words
