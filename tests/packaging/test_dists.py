"""What is built from this tree: the source distribution, wheels with and without the extension, what they install."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.one_twin

ROOT = Path(__file__).parents[2]
SMOKE = Path(__file__).with_name("smoke.py")
PIP = ["-m", "pip", "--disable-pip-version-check", "--quiet", "--quiet"]


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Runs a program with no switch of ours but those given; its output is the error where it fails."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("BOWSTRING_", "PYTHON", "PYTEST_"))
    }
    done = subprocess.run(
        command, cwd=cwd, env=inherited | environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def only(directory: Path, pattern: str) -> Path:
    (path,) = directory.glob(pattern)
    return path


@pytest.fixture(scope="session")
def dists(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the source distribution, and the wheel that is built from it as pip does it: in isolation."""
    out = tmp_path_factory.mktemp("dists")
    run(sys.executable, "-m", "build", "--outdir", out, ROOT, cwd=out, BOWSTRING_REQUIRE_EXTENSIONS="1")
    return out


@pytest.fixture(scope="session")
def sdist(dists: Path) -> Path:
    return only(dists, "*.tar.gz")


@pytest.fixture(scope="session")
def source(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution, unpacked."""
    directory = tmp_path_factory.mktemp("source")
    with tarfile.open(sdist) as archive:
        archive.extractall(directory, filter="data")
    return only(directory, "bowstring-*")


@pytest.fixture(scope="session")
def wheel(dists: Path) -> Path:
    return only(dists, "*.whl")


def build_wheel(source: Path, out: Path, **environment: str) -> Path:
    """The wheel that comes out with the tools of the environment that the tests run in: quicker than in isolation."""
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir"]
    run(*build, out, source, cwd=out, **environment)
    return only(out, "*.whl")


@pytest.fixture(scope="session")
def pure_wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(source, tmp_path_factory.mktemp("pure"), BOWSTRING_NO_EXTENSIONS="1")


def installed(tmp_path: Path, wheel: Path) -> Path:
    """The interpreter of a fresh environment with nothing in it but a wheel and what that depends on."""
    environment = tmp_path / "venv"
    run(sys.executable, "-m", "venv", environment, cwd=tmp_path)
    python = environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    run(python, *PIP, "install", wheel, cwd=tmp_path)
    return python


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    directory = tmp_path / "empty"
    directory.mkdir()
    return directory


def files(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_source_distribution_has_sources_and_no_products(source: Path) -> None:
    names = {path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()}
    assert names >= {
        "LICENSE",
        "Makefile",
        "setup.py",
        "src/bowstring/codec/_cython.pyx",
        "src/bowstring/codec/_cython.pxd",
        "src/bowstring/codec/_mask.h",
        "tests/conftest.py",
        "tools/venv",
    }
    assert not [name for name in names if name.endswith((".c", ".so", ".pyd", ".pyc")) or "node_modules" in name]


def test_the_platform_wheel_has_the_extension_for_this_python(wheel: Path) -> None:
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}{getattr(sys, 'abiflags', '')}"
    assert wheel.name.split("-")[3] == tag
    assert [name for name in files(wheel) if name.startswith("bowstring/codec/_cython.c") and not name.endswith(".c")]


def test_a_wheel_is_the_package_and_nothing_else(wheel: Path) -> None:
    assert {name.split("/")[0] for name in files(wheel)} == {"bowstring", f"{wheel.stem.rsplit('-', 3)[0]}.dist-info"}
    assert not [name for name in files(wheel) if name.endswith((".c", ".pyc"))]


def test_the_pure_wheel_lacks_the_extension_and_nothing_else(wheel: Path, pure_wheel: Path) -> None:
    assert pure_wheel.name.endswith("-py3-none-any.whl")
    (extension,) = files(wheel) - files(pure_wheel)
    assert extension.endswith((".so", ".pyd"))
    assert files(pure_wheel) <= files(wheel)


def test_the_platform_wheel_loads_its_extension(wheel: Path, tmp_path: Path, empty: Path) -> None:
    python = installed(tmp_path, wheel)
    assert "cython twin" in run(python, SMOKE, "cython", cwd=empty)


def test_the_pure_wheel_reports_python(pure_wheel: Path, tmp_path: Path, empty: Path) -> None:
    python = installed(tmp_path, pure_wheel)
    assert "python twin" in run(python, SMOKE, "python", cwd=empty)
    assert "python" in run(python, "-m", "bowstring", "report", cwd=empty)


def test_without_a_compiler_the_source_distribution_installs_in_pure_python(
    source: Path, tmp_path: Path, empty: Path
) -> None:
    python = installed(tmp_path, build_wheel(source, tmp_path, CC="false"))
    assert "python twin" in run(python, SMOKE, "python", cwd=empty)


def test_without_a_compiler_a_required_extension_fails_the_build(source: Path, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="false"):
        build_wheel(source, tmp_path, CC="false", BOWSTRING_REQUIRE_EXTENSIONS="1")
