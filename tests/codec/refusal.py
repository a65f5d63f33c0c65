"""Errors by their whole text."""

from __future__ import annotations

import re

import pytest


def refused(error: type[Exception], text: str) -> pytest.RaisesExc[Exception]:
    """For a ``with``: its body raises this, with this text and no other."""
    return pytest.raises(error, match=rf"\A{re.escape(text)}\Z")
