"""Arguments that are buffers: their raw bytes, and what is said when they have none."""

from __future__ import annotations

from typing import Any


def view_of(value: Any, name: str, wanted: str = "a bytes-like object") -> memoryview:
    """A view of an argument, for a ``with``: no export of the caller's buffer may outlive the call."""
    try:
        view = memoryview(value)
    except TypeError:
        raise TypeError(f"{name} must be {wanted}, not {type(value).__name__!r}") from None
    if not view.c_contiguous:
        view.release()
        raise TypeError(f"{name} must be C-contiguous")
    return view


def raw_bytes(value: Any, name: str, wanted: str = "a bytes-like object") -> bytes:
    """The raw bytes of an argument, copied unless they are ``bytes``."""
    if type(value) is bytes:
        return value
    with view_of(value, name, wanted) as view:
        return view.tobytes()
