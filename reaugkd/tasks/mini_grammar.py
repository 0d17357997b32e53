"""The seeded grammar behind the embedded suite: small worlds whose truth is known exactly.

Every generator takes a ``random.Random`` and returns lower-case words with single spaces. The
lists are short on purpose: what is to be learnt is composition, not vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import Any


def _list(text: str) -> list[str]:
    return text.split()


GOOD = _list(
    "charming superb friendly tasty bright cosy honest lovely graceful clever gentle splendid"
    " fresh polite elegant warm generous brilliant pleasant delightful"
)
BAD = _list(
    "dreadful rude bland gloomy dirty noisy dull awful clumsy stale greedy shabby bitter hostile"
    " tedious cold ugly messy sloppy miserable"
)
THINGS = _list(
    "waiter soup garden film actor room song guide bread lamp hotel plot dancer market story view"
    " chair concert teacher boat"
)
LINKS = _list("was seemed looked felt remained")
NEGATORS = _list("not never hardly")
DEGREES = _list("very rather quite truly somewhat")

NAMES = _list("anna boris clara david elena felix greta hugo irene jonas karin leon")
VERBS = {
    "bought": "purchased",
    "fixed": "repaired",
    "found": "discovered",
    "dropped": "released",
    "wanted": "desired",
    "built": "constructed",
    "hid": "concealed",
    "showed": "displayed",
}
COLOURS = _list("red blue green yellow black")
KINDS = {
    "animal": _list("dog horse cat goat"),
    "tool": _list("hammer saw drill shovel"),
    "fruit": _list("apple pear plum cherry"),
    "vehicle": _list("car truck bicycle tram"),
}
PLACES = _list("park kitchen harbour school forest")
TIMES = _list("monday tuesday friday saturday sunday")

_SYNONYM = {**VERBS, **{second: first for first, second in VERBS.items()}}
_KIND = {noun: kind for kind, nouns in KINDS.items() for noun in nouns}


def words() -> list[str]:
    """Every word that a generator can produce, once, in a fixed order."""
    lists = [GOOD, BAD, THINGS, LINKS, NEGATORS, DEGREES, NAMES, _SYNONYM, COLOURS, _KIND, KINDS]
    function = _list("the a but although while and in on near")
    return list(dict.fromkeys(word for part in (*lists, PLACES, TIMES, function) for word in part))


def _clause(random: Random, good: bool) -> str:
    """``the soup was [not] [very] tasty``: the side of the adjective is turned by a negator."""
    negated = random.random() < 0.3
    parts = ["the", random.choice(THINGS), random.choice(LINKS)]
    if negated:
        parts.append(random.choice(NEGATORS))
    if random.random() < 0.5:
        parts.append(random.choice(DEGREES))
    parts.append(random.choice(GOOD if good != negated else BAD))
    return " ".join(parts)


def tone(random: Random, label: int) -> str:
    """A sentence whose main claim is bad (0) or good (1).

    In ``A but B`` and ``although A B`` the claim is B, in ``A although B`` it is A; the other
    clause is of either side.
    """
    claim, other = _clause(random, label == 1), _clause(random, random.random() < 0.5)
    shape = random.randrange(4)
    if shape == 3:
        return claim
    if shape == 0:
        return f"{other} but {claim}"
    if shape == 1:
        return f"although {other} {claim}"
    return f"{claim} although {other}"


@dataclass(frozen=True)
class Event:
    """Who did what to which thing, where and when; a slot that is not told is None."""

    name: str
    verb: str
    noun: str
    colour: str | None
    place: str | None
    time: str | None

    def text(self) -> str:
        """The event as a sentence of 4 to 11 words."""
        parts = [self.name, self.verb, "the", self.colour, self.noun]
        parts += ["near", "the", self.place] if self.place else []
        parts += ["on", self.time] if self.time else []
        return " ".join(part for part in parts if part)


def _event(random: Random, told: float) -> Event:
    """A random event; each of colour, place and time is told with probability ``told``."""

    def maybe(choices: list[str]) -> str | None:
        return random.choice(choices) if random.random() < told else None

    return Event(
        random.choice(NAMES),
        random.choice(list(_SYNONYM)),
        random.choice(list(_KIND)),
        maybe(COLOURS),
        maybe(PLACES),
        maybe(TIMES),
    )


def _other(random: Random, choices: list[str], word: str) -> str:
    return random.choice([choice for choice in choices if choice != word])


_DETAILS = {"colour": COLOURS, "place": PLACES, "time": TIMES}


def _weaken(random: Random, event: Event) -> Event:
    """Something that follows: a synonym, a kind for a thing, a detail left out."""
    verb = _SYNONYM[event.verb] if random.random() < 0.5 else event.verb
    noun = _KIND[event.noun] if random.random() < 0.5 else event.noun
    lost: dict[str, Any] = {name: None for name in _DETAILS if random.random() < 0.4}
    return replace(event, verb=verb, noun=noun, **lost)


def follows(random: Random, label: int) -> tuple[str, str]:
    """Premise and hypothesis: it follows (0), is open (1) or is contradicted (2).

    Open: one detail is told that the premise does not tell. Contradicted: one detail that both
    tell differs, or the thing is of another kind.
    """
    while True:
        premise = _event(random, told=0.7)
        hypothesis = _weaken(random, premise)
        if label == 0:
            return premise.text(), hypothesis.text()
        told = [name for name in _DETAILS if getattr(premise, name)]
        if label == 1:
            told = [name for name in _DETAILS if name not in told]
        if not told:
            continue
        slot = random.choice(told)
        word = _other(random, _DETAILS[slot], getattr(premise, slot))
        return premise.text(), replace(hypothesis, **{slot: word}).text()


WEIGHTS = {"name": 1.0, "verb": 1.0, "noun": 1.0, "colour": 0.5, "place": 1.0, "time": 0.5}


def alike(random: Random) -> tuple[str, str, float]:
    """Two sentences and how alike they are, from 0 to 5.

    The score is the weight of the slots that agree; a synonym agrees, another thing of the same
    kind agrees by half.
    """
    first, second = _event(random, 1.0), _event(random, 1.0)
    same = random.random()
    for slot in WEIGHTS:
        if random.random() < same:
            second = replace(second, **{slot: getattr(first, slot)})
    if random.random() < 0.5:
        second = replace(second, verb=_SYNONYM[second.verb])
    score = 0.0
    for slot, weight in WEIGHTS.items():
        one, two = getattr(first, slot), getattr(second, slot)
        if one == two or (slot == "verb" and _SYNONYM[one] == two):
            score += weight
        elif slot == "noun" and _KIND[one] == _KIND[two]:
            score += weight / 2
    return first.text(), second.text(), score
