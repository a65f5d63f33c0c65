"""The twins as modules: the same names, in the same order, with the same words; and the stub that describes both."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bowstring import codec

from .refusal import refused

pytestmark = pytest.mark.one_twin

DIRECTORY = Path(__file__).parents[2] / "src" / "bowstring" / "codec"  # an installed package has no .pyx
STUB = ast.parse((DIRECTORY / "_cython.pyi").read_text())


def members(module: Any) -> dict[str, Any]:
    """Public functions and classes of a module, and of each class its public members, by dotted name."""
    found = {}
    for name, value in vars(module).items():
        if name.startswith("_") or not getattr(value, "__module__", "").startswith(module.__name__):
            continue
        found[name] = value
        if inspect.isclass(value):
            found |= {f"{name}.{inner}": it for inner, it in vars(value).items() if not inner.startswith("_")}
    return found


def stub_members(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, ast.stmt]]:
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            if not node.name.startswith("_") or node.name == "__init__":
                yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from stub_members(node.body, f"{node.name}.")


def definitions(source: str) -> list[str]:
    """Names of public functions, classes and members, as they stand in a source of either language."""
    found = []
    inside = ""
    for indent, kind, name in re.findall(r"^( {4})?(def|cpdef|class|cdef class) (\w+)\b", source, flags=re.MULTILINE):
        if not indent:
            inside = f"{name}." if "class" in kind else ""
        if not name.startswith("_"):
            found.append((inside if indent else "") + name)
    return found


def test_the_same_names(both: tuple[Any, Any]) -> None:
    pure, fast = (sorted(members(module)) for module in both)
    assert pure == fast
    assert pure == sorted(name for name, _ in stub_members(STUB.body) if not name.endswith("__"))


def test_the_door_has_all_of_them(both: tuple[Any, Any]) -> None:
    for module in both:
        names = {name for name in members(module) if "." not in name} | {"IMPLEMENTATION"}
        assert names <= set(codec.__all__)
        assert set(codec.__all__) - names == {"MaskKeys", "FALLBACK_REASON"}


def test_the_same_docstrings(both: tuple[Any, Any]) -> None:
    pure, fast = ({name: inspect.cleandoc(it.__doc__ or "") for name, it in members(module).items()} for module in both)
    assert pure == fast
    assert all(pure.values())


def test_the_same_order_of_definitions() -> None:
    files = ("masking", "utf8", "frame", "decoder", "encoder")
    pure = definitions("".join((DIRECTORY / "_python" / f"{name}.py").read_text() for name in files))
    fast = (DIRECTORY / "_cython.pyx").read_text()
    fast = re.sub(r'^include "(.+)"$', lambda part: (DIRECTORY / part[1]).read_text(), fast, flags=re.MULTILINE)
    public = {name for name, _ in stub_members(STUB.body)}
    assert [name for name in pure if name in public] == [name for name in definitions(fast) if name in public]
    assert public - {f"{name}.__init__" for name in public} == set(pure) & public


def test_signatures_are_those_of_the_stub(both: tuple[Any, Any]) -> None:
    for name, node in stub_members(STUB.body):
        if not isinstance(node, ast.FunctionDef) or node.decorator_list:
            continue
        arguments = node.args
        expected = [argument.arg for argument in [*arguments.args, *arguments.kwonlyargs]]
        defaults = [ast.literal_eval(value) for value in arguments.defaults]
        defaults += [ast.literal_eval(value) for value in arguments.kw_defaults if value is not None]
        for module in both:
            target: Any = module
            for part in name.split("."):
                target = getattr(target, part)
            if name.endswith("__init__") and module is both[1]:
                continue  # C types have no signature to look at; their arguments are tested by use
            parameters = inspect.signature(target).parameters.values()
            assert [parameter.name for parameter in parameters] == expected, (module, name)
            assert [p.default for p in parameters if p.default is not p.empty] == defaults, (module, name)
            keywords = [argument.arg for argument in arguments.kwonlyargs]
            assert [p.name for p in parameters if p.kind is p.KEYWORD_ONLY] == keywords, (module, name)


def test_which_is_which(both: tuple[Any, Any]) -> None:
    assert [module.IMPLEMENTATION for module in both] == ["python", "cython"]


def test_frames_of_the_other_twin_are_no_frames(both: tuple[Any, Any]) -> None:
    for mine, other in (both, reversed(both)):
        foreign = other.Frame(1, b"abc")
        assert mine.Frame(1, b"abc") != foreign
        with refused(TypeError, "frames[0] must be a str, a bytes-like object or a Frame, not 'Frame'"):
            mine.encode_frames([foreign])
