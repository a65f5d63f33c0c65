"""An import may only go down; read from the sources, those in Cython included.

``lint-imports`` draws the same map for Python. This one needs nothing to be installed, and also reads ``.pyx``.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import bowstring

pytestmark = pytest.mark.one_twin

ROOT = Path(bowstring.__file__).parent

#: From the bottom up. A package may import what is in lower rows, and itself. "" stands for the public names.
LAYERS = [
    {"constants", "typing", "_version"},
    {"exceptions"},
    {"codec"},
    {"protocol"},
    {"drivers"},
    {"sync", ""},
    {"adapters", "demo", "testing"},
    {"cli"},
    {"__main__"},
]
HEIGHT = {name: height for height, layer in enumerate(LAYERS) for name in layer}

#: Neither a socket, nor a clock, nor a loop.
OUTSIDE = {"asyncio", "selectors", "socket", "ssl", "threading", "time"}

#: What a test exchanges behind the door; a name taken at import would keep its old twin.
TWIN_NAMES = {"Frame", "FrameDecoder", "Utf8Validator", "apply_mask", "encode_frame", "encode_frames", "mask_in_place"}


class Imports(ast.NodeVisitor):
    """The modules that a source imports when it runs: absolute names, with what is taken from them."""

    def __init__(self, package: str) -> None:
        self.package = package
        self.depth = 0
        #: (module, name or None, whether it happens inside of a function)
        self.found: list[tuple[str, str | None, bool]] = []

    def visit_If(self, node: ast.If) -> None:
        # Types only: not imported at run time.
        if ast.unparse(node.test) != "TYPE_CHECKING":
            self.generic_visit(node)
        for child in node.orelse if ast.unparse(node.test) == "TYPE_CHECKING" else ():
            self.visit(child)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.inside(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.inside(node)

    def inside(self, function: ast.AST) -> None:
        self.depth += 1
        self.generic_visit(function)
        self.depth -= 1

    def visit_Import(self, node: ast.Import) -> None:
        self.found += [(alias.name, None, self.depth > 0) for alias in node.names]

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = self.package.split(".")[: len(self.package.split(".")) - node.level + 1] if node.level else []
        module = ".".join([*base, *([node.module] if node.module else [])])
        self.found += [(module, alias.name, self.depth > 0) for alias in node.names]


def imports_of_pyx(source: str) -> Iterator[tuple[str, str | None, bool]]:
    for line in source.splitlines():
        if match := re.match(r"(\s*)(?:from ([\w.]+) )?c?import (.+)", line):
            indent, module, names = match.groups()
            for name in re.split(r",\s*", names.split("#")[0].strip("() ")):
                yield (module, name, bool(indent)) if module else (name.split(" as ")[0], None, bool(indent))


def sources() -> dict[Path, list[tuple[str, str | None, bool]]]:
    """What each source imports."""
    found = {}
    for path in sorted(ROOT.rglob("*.p[xy]*")):
        if path.suffix in {".pyx", ".pxd", ".pxi"}:
            found[path.relative_to(ROOT)] = list(imports_of_pyx(path.read_text()))
        elif path.suffix == ".py":
            package = ".".join(["bowstring", *path.relative_to(ROOT).parent.parts])
            visitor = Imports(package)
            visitor.visit(ast.parse(path.read_text()))
            found[path.relative_to(ROOT)] = visitor.found
    return found


SOURCES = sources()


def layer_of(path: Path) -> str:
    return path.parts[0] if len(path.parts) > 1 else path.stem


def imported_layers(path: Path) -> set[str]:
    """The parts of bowstring that a source imports."""
    found = set()
    for module, name, _ in SOURCES[path]:
        parts = module.split(".")
        if parts[0] == "bowstring":
            # `from bowstring import codec` is about the codec; a name of the top level is the top level's.
            inner = parts[1] if len(parts) > 1 else name or ""
            found.add(inner if inner in HEIGHT else "")
    return found


def test_sources_are_read() -> None:
    assert len(SOURCES) > 10
    assert imported_layers(Path("codec/_cython.pyx")) == {"constants", "exceptions"}
    assert imported_layers(Path("codec/_python/decoder.py")) == {"codec", "constants", "exceptions", "typing"}
    assert ("os", None, False) in SOURCES[Path("codec/__init__.py")]


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_an_import_goes_down(path: Path) -> None:
    own = layer_of(path)
    if own == "__init__":
        return  # the public names, which are lazy
    for other in imported_layers(path):
        assert other == own or HEIGHT[other] < HEIGHT[own], f"{path} imports {other or 'from the top level'}"


@pytest.mark.parametrize("path", [path for path in SOURCES if layer_of(path) in {"codec", "protocol"}], ids=str)
def test_codec_and_protocol_know_no_outside(path: Path) -> None:
    modules = {module.split(".")[0] for module, _, _ in SOURCES[path]}
    if path == Path("codec/mask_keys.py"):
        modules.discard("threading")  # a lock: a pool of keys is shared by threads
    assert modules & OUTSIDE == set()


@pytest.mark.parametrize("path", [path for path in SOURCES if layer_of(path) == "codec"], ids=str)
def test_the_codec_needs_the_standard_library_only(path: Path) -> None:
    allowed = sys.stdlib_module_names | {"bowstring", "cpython", "cython", "libc"}
    assert {module.split(".")[0] for module, _, _ in SOURCES[path] if module.strip(".")} <= allowed


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_only_the_door_imports_a_twin(path: Path) -> None:
    if path == Path("codec/__init__.py") or path.parts[:2] == ("codec", "_python"):
        return
    for module, name, _ in SOURCES[path]:
        assert not {"_python", "_cython"} & {*module.split("."), name}


@pytest.mark.parametrize("path", [path for path in SOURCES if layer_of(path) != "codec"], ids=str)
def test_names_of_a_twin_are_looked_up_when_they_are_used(path: Path) -> None:
    taken = {name for module, name, late in SOURCES[path] if module == "bowstring.codec" and not late}
    assert taken & TWIN_NAMES == set()


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_h11_is_behind_one_door(path: Path) -> None:
    users = {module.split(".")[0] for module, _, _ in SOURCES[path]}
    assert "h11" not in users or path == Path("protocol/http11.py")


@pytest.mark.parametrize("pure", ["1", "0"], ids=["python", "cython"])
def test_the_codec_alone_is_light(pure: str) -> None:
    program = "import sys, bowstring.codec; print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT.parent),
            "BOWSTRING_NO_EXTENSIONS": pure,
            "BOWSTRING_REQUIRE_EXTENSIONS": "0",
        },
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    loaded = set(done.stdout.split())
    assert "bowstring.codec" in loaded
    own = {name for name in loaded if name.startswith("bowstring") and not name.startswith("bowstring.codec._python.")}
    assert own <= {
        "bowstring",
        "bowstring.codec",
        "bowstring.codec._cython",
        "bowstring.codec._python",
        "bowstring.codec.mask_keys",
        "bowstring.constants",
        "bowstring.exceptions",
        "bowstring.typing",
        "bowstring._version",
    }
    assert (
        loaded & {"asyncio", "h11", "socket", "ssl", "selectors", "http", "email", "logging", "typing_extensions"}
        == set()
    )
