"""Masking keys in stock: each given out once, also to threads, also after a fork."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

import bowstring
from bowstring.codec import MaskKeys

from .refusal import refused

pytestmark = pytest.mark.one_twin

BLOCK = 1024  # keys


def numbered() -> tuple[Callable[[int], bytes], list[int]]:
    """A source whose keys are 0, 1, 2 and so on, and the sizes that it was asked for."""
    numbers = count()
    asked: list[int] = []

    def source(size: int) -> bytes:
        asked.append(size)
        return b"".join(next(numbers).to_bytes(4, "big") for _ in range(size // 4))

    return source, asked


def numbers(keys: bytes) -> list[int]:
    return [int.from_bytes(keys[i : i + 4], "big") for i in range(0, len(keys), 4)]


def test_the_source_is_the_systems_randomness() -> None:
    assert inspect.signature(MaskKeys).parameters["source"].default is os.urandom
    keys = MaskKeys()
    taken = [keys.take() for _ in range(3 * BLOCK)]
    assert {len(key) for key in taken} == {4}
    assert len(set(taken)) > 3 * BLOCK - 10  # two of them are equal once in a thousand runs


def test_in_order_and_once() -> None:
    source, asked = numbered()
    keys = MaskKeys(source)
    assert asked == []  # nothing is fetched before it is needed
    taken = []
    for size in (1, 2, 1, 10, 100, 3):
        piece = keys.take(size)
        assert len(piece) == 4 * size
        taken += numbers(piece)
    assert taken == list(range(117))
    assert asked == [4 * BLOCK]


def test_blocks() -> None:
    source, asked = numbered()
    keys = MaskKeys(source)
    assert numbers(keys.take(BLOCK)) == list(range(BLOCK))
    assert asked == [4 * BLOCK]
    assert numbers(keys.take()) == [BLOCK]
    assert asked == [4 * BLOCK] * 2
    # What does not fit into the rest of a block comes whole from a new one.
    assert numbers(keys.take(BLOCK)) == list(range(2 * BLOCK, 3 * BLOCK))
    assert asked == [4 * BLOCK] * 3


def test_more_than_a_block() -> None:
    source, asked = numbered()
    keys = MaskKeys(source)
    assert numbers(keys.take(5 * BLOCK)) == list(range(5 * BLOCK))
    assert asked == [4 * 5 * BLOCK]
    assert numbers(keys.take()) == [5 * BLOCK]


def test_none() -> None:
    source, asked = numbered()
    keys = MaskKeys(source)
    assert keys.take(0) == b""
    assert asked == []
    keys.take(BLOCK)
    assert keys.take(0) == b""
    assert asked == [4 * BLOCK]


@pytest.mark.parametrize("number", [-1, -1024, -(2**70)])
def test_a_negative_number(number: int) -> None:
    keys = MaskKeys()
    with refused(ValueError, f"count must not be negative: {number}"):
        keys.take(number)
    assert len(keys.take()) == 4


def test_a_source_that_fails_gives_no_old_keys() -> None:
    source, _ = numbered()
    fails = False

    def failing(size: int) -> bytes:
        if fails:
            raise OSError("no randomness")
        return source(size)

    keys = MaskKeys(failing)
    first = keys.take(BLOCK)
    fails = True
    for _ in range(2):
        with refused(OSError, "no randomness"):
            keys.take()
    fails = False
    assert keys.take() not in {first[i : i + 4] for i in range(0, len(first), 4)}


def test_pools_are_independent() -> None:
    one, other = MaskKeys(numbered()[0]), MaskKeys(numbered()[0])
    assert one.take(2) == other.take(2)


def test_threads_share_one_pool() -> None:
    source, _ = numbered()
    keys = MaskKeys(source)
    taken: list[list[int]] = [[] for _ in range(8)]
    together = threading.Barrier(len(taken))

    def work(own: list[int]) -> None:
        together.wait()
        for i in range(500):
            own += numbers(keys.take(1 + i % 3))

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(own,)) for own in taken]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    everything = [number for own in taken for number in own]
    assert len(everything) == 8 * sum(1 + i % 3 for i in range(500))
    assert len(set(everything)) == len(everything)
    assert all(own == sorted(own) for own in taken)


FORKS = """
import os, sys, threading
from bowstring.codec import MaskKeys

calls = 0
def source(size):
    global calls
    calls += 1
    return os.urandom(size)

pool, held = MaskKeys(source), MaskKeys(lambda size: entered.set() or release.wait() and bytes(size))
pool.take()
entered, release = threading.Event(), threading.Event()
# Another thread is inside of this pool, and has its lock, when the process forks.
thread = threading.Thread(target=held.take)
thread.start()
entered.wait()
reading, writing = os.pipe()
child = os.fork()
if child == 0:
    release.set()
    before = calls
    keys = pool.take(8)
    os.write(writing, bytes([calls - before]) + keys + held.take(1))
    os._exit(0)
release.set()
os.close(writing)
received = b""
while piece := os.read(reading, 100):
    received += piece
_, status = os.waitpid(child, 0)
thread.join()
assert status == 0, status
assert len(received) == 1 + 32 + 4, received
assert received[0] == 1, "the child has to fetch keys of its own"
own = pool.take(8)
assert calls == 1, "the parent keeps what it has"
assert own != received[1:33]
print("ok")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_a_forked_child_has_keys_of_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKS],
        env={**os.environ, "PYTHONPATH": str(Path(bowstring.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("ok\n", "", 0)
