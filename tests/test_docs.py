"""The programs in docs/ run as they stand there."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[1] / "docs"
START = "\n\nasyncio.run(main())\n"


async def test_the_extension(capsys: pytest.CaptureFixture[str]) -> None:
    [program] = re.findall(r"```python\n(.*?)```", (DOCS / "extensions.md").read_text(encoding="utf-8"), re.DOTALL)
    assert program.endswith(START)
    names: dict[str, Any] = {}
    exec(program.removesuffix(START), names)
    await asyncio.create_task(names["main"]())
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("x-reverse; version=1, permessage-deflate")
    assert second == "through both and back"
