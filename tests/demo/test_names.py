"""Names of people and rooms."""

from __future__ import annotations

import pytest

from bowstring.demo.names import InvalidName, clean_nick, clean_room, name_key, suggest_nick

pytestmark = pytest.mark.one_twin

FAMILY = "👩\u200d👩\u200d👧"


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("Ada", "Ada"),
        ("  Ada \t Lovelace ", "Ada Lovelace"),
        ("Zoe\u0308", "Zo\u00eb"),
        ("李雷", "李雷"),
        ("नेहा", "नेहा"),
        ("🏹", "🏹"),
        (FAMILY, FAMILY),
        ("o'Brien-2 (π)", "o'Brien-2 (π)"),
        ("x" * 24, "x" * 24),
    ],
)
def test_nick(typed: str, shown: str) -> None:
    assert clean_nick(typed) == shown


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "   ",
        "x" * 25,
        "a\x00b",
        "a\u202eb",
        "\u200b",
        "\u200d",
        "\ud800",
        "...",
        "\u0301",
        "\u3164",
        "a\u2800b",
        "\ue000",
    ],
)
def test_what_is_no_nick(typed: str) -> None:
    with pytest.raises(InvalidName):
        clean_nick(typed)


@pytest.mark.parametrize(
    ("typed", "name"),
    [("lobby", "lobby"), (" #Lobby ", "lobby"), ("a-b_2", "a-b_2"), ("ÄPFEL", "äpfel"), ("r" * 32, "r" * 32)],
)
def test_room(typed: str, name: str) -> None:
    assert clean_room(typed) == name


@pytest.mark.parametrize("typed", ["", "#", "a b", "a/b", "-a", "r" * 33, "<b>", "a\x00"])
def test_what_is_no_room(typed: str) -> None:
    with pytest.raises(InvalidName):
        clean_room(typed)


SAME = [("Ada", "aDA"), ("Straße", "STRASSE"), ("\uff21da", "Ada"), (FAMILY, "👩👩👧")]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_names_that_are_taken_for_one(one: str, other: str) -> None:
    assert name_key(one) == name_key(other)


def test_names_that_are_not() -> None:
    assert name_key("Ada") != name_key("Ada 2")


def test_suggestion_is_the_lowest_free_number() -> None:
    taken = {"Ada", "Ada 2", "Ada 3"}
    assert suggest_nick("Ada", taken.__contains__) == "Ada 4"


def test_suggestion_is_a_name_itself() -> None:
    suggestion = suggest_nick("x" * 24, lambda _: False)
    assert suggestion == "x" * 22 + " 2"
    assert clean_nick(suggestion) == suggestion
