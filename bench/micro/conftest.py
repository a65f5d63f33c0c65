"""Rows of a table are contenders, tables are groups; who could not be measured is said at the head."""

from __future__ import annotations

import pytest

from .contenders import Contender, find

CONTENDERS, MISSING = find()


#: How the tables are made, where the command line does not say otherwise.
SETTINGS = {
    # The processor's time: what else the machine does meanwhile counts for nobody.
    "--benchmark-timer": "time.process_time",
    "--benchmark-max-time": "0.15",
    "--benchmark-min-time": "0.0001",
    "--benchmark-warmup": "on",
    "--benchmark-warmup-iterations": "3",
    "--benchmark-columns": "min,median,iqr",
    "--benchmark-sort": "min",
    "--benchmark-name": "short",
}


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    given = {argument.split("=")[0] for argument in config.invocation_params.args}
    arguments = [f"{name}={value}" for name, value in SETTINGS.items() if name not in given]
    config._parser.parse_known_args(arguments, namespace=config.option)


def pytest_report_header() -> list[str]:
    lines = [f"measured: {contender.name} {contender.version}" for contender in CONTENDERS]
    return lines + [f"left out: {reason}" for reason in MISSING]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for one of these methods runs with that of each contender that has it."""
    for work in ("masker", "decoder", "builder", "utf8"):
        if work in metafunc.fixturenames:
            able = [it for it in CONTENDERS if getattr(type(it), work) is not getattr(Contender, work)]
            metafunc.parametrize(work, [getattr(it, work) for it in able], ids=[it.name for it in able])
