"""Questions to a bank, made by a grammar: a table of texts as a user has one."""

from __future__ import annotations

import csv
import random
from pathlib import Path

PATTERNS = {
    "card_arrival": [
        "my new {} has not come{}",
        "when will my {} arrive{}",
        "I still wait for my {}{}",
        "how long does the post take with a {}{}",
    ],
    "lost_or_stolen_card": [
        "I lost my {}{}",
        "someone stole my {}{}",
        "my {} is gone{}",
        "I cannot find my {}{}",
    ],
    "spending_limit": [
        "how much can I spend with my {}{}",
        "please raise the limit of my {}{}",
        "is there a limit for my {}{}",
        "what is the most I may pay by {}{}",
    ],
    "top_up_failed": [
        "the top up of my {} failed{}",
        "why was my top up by {} declined{}",
        "I could not add money to my {}{}",
        "adding money with a {} does not work{}",
    ],
}
THINGS = ("card", "credit card", "debit card", "bank card", "second card", "gold card")
ENDS = ("", ", please help", " since Monday", " again", ", it is urgent")


def rows() -> list[tuple[str, str]]:
    """480 texts with their class, no two alike, in an order that is always the same."""
    made = [
        (pattern.format(thing, end), intent)
        for intent, patterns in PATTERNS.items()
        for pattern in patterns
        for thing in THINGS
        for end in ENDS
    ]
    random.Random(0).shuffle(made)
    return made


def write(file: Path) -> None:
    """Write them as Banking77 is: columns ``text`` and ``category``."""
    with file.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("text", "category"), *rows()])
