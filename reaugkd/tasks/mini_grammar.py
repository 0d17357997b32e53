"""The seeded grammar behind the embedded suite: a small world whose truth is known exactly.

What is to be learnt is composition (negation, contrast, who is meant), not vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from random import Random


def _list(text: str) -> list[str]:
    return text.split()


GOOD = _list(
    "charming superb friendly tasty bright cosy honest lovely graceful clever gentle splendid"
    " fresh polite elegant warm"
)
BAD = _list(
    "dreadful rude bland gloomy dirty noisy dull awful clumsy stale greedy shabby bitter hostile"
    " tedious cold"
)
KINDS = {
    "person": _list("waiter actor guide dancer teacher singer nurse baker farmer sailor"),
    "food": _list("soup bread salad cake stew pie cheese pasta curry omelette"),
    "place": _list("garden room hotel market kitchen museum harbour park library station"),
}
SHARES = (6, 3, 1)
"""How common the kinds are, and below, the share of praise. Uneven on purpose, as in real text:
where single words say nothing about the label, a small encoder does not begin to learn."""
PRAISE = 0.8
VERDICTS = {True: _list("good fine nice"), False: _list("bad poor lousy")}
LINKS = _list("was seemed looked felt remained")
NEGATORS = _list("not never hardly")
STRONG = _list("very truly extremely")
WEAK = _list("rather quite somewhat")


def words() -> list[str]:
    """Every word that a generator can produce, once, in a fixed order."""
    kinds = [*KINDS.values(), list(KINDS), *VERDICTS.values()]
    lists = [GOOD, BAD, *kinds, LINKS, NEGATORS, STRONG, WEAK]
    return [*_list("the but although everybody nobody thought"), *chain.from_iterable(lists)]


@dataclass(frozen=True)
class Clause:
    """``the <thing> <link> [negator] [degree] <adjective>``, 4 to 6 words.

    ``kind`` is that of the thing, a key of :data:`KINDS`; ``level`` what is said of it: -2 very
    bad, -1 bad, 1 good, 2 very good.
    """

    kind: str
    level: int
    text: str

    @property
    def good(self) -> bool:
        """Whether the thing is praised."""
        return self.level > 0


def clause(random: Random, *, kind: str, good: bool) -> Clause:
    """A clause that praises or blames a thing of ``kind``; what is "not very good" is bad."""
    negated = random.random() < 0.2
    degree = random.choice([None, None, *STRONG, *WEAK])
    adjective = random.choice(GOOD if good != negated else BAD)
    thing = random.choice(KINDS[kind])
    negator = random.choice(NEGATORS) if negated else None
    parts = ["the", thing, random.choice(LINKS), negator, degree, adjective]
    size = 2 if degree in STRONG and not negated else 1
    return Clause(kind, size if good else -size, " ".join(part for part in parts if part))


def _kinds(random: Random) -> list[str]:
    """All kinds, the commoner ones rather first."""
    bag = [kind for kind, share in zip(KINDS, SHARES, strict=True) for _ in range(share)]
    random.shuffle(bag)
    return list(dict.fromkeys(bag))


def _praise(random: Random) -> bool:
    return random.random() < PRAISE


def tone(random: Random, label: int) -> str:
    """A sentence whose main claim is bad (0) or good (1).

    In ``A but B`` and ``although A B`` the claim is B, in ``A although B`` it is A; the other
    clause is of either side. ``nobody thought ...`` denies the claim, ``everybody thought ...``
    changes nothing.
    """
    first, second, _ = _kinds(random)
    voice = random.choice(["", "", "everybody thought ", "nobody thought "])
    denied = voice.startswith("nobody")
    claim = clause(random, kind=first, good=(label == 1) != denied).text
    other = clause(random, kind=second, good=_praise(random)).text
    shapes = [claim, f"{other} but {claim}", f"although {other} {claim}"]
    return voice + random.choice([*shapes, f"{claim} although {other}"])


def follows(random: Random, label: int) -> tuple[str, str]:
    """Premise and hypothesis: it follows (0), is open (1) or is contradicted (2).

    The premise speaks of things of one or two kinds, the hypothesis of one kind: of another (open),
    or of one of those, in agreement or not with what the premise says of that one.
    """
    first, second, third = _kinds(random)
    premise = [clause(random, kind=first, good=_praise(random))]
    if random.random() < 0.4:
        premise.append(clause(random, kind=second, good=_praise(random)))
    asked = random.choice(premise)
    kind = third if label == 1 else asked.kind
    good = _praise(random) if label == 1 else asked.good == (label == 0)
    verdict = random.choice(VERDICTS[good])
    hypothesis = f"the {kind} {random.choice(LINKS)} {verdict}"
    return " but ".join(part.text for part in premise), hypothesis


def alike(random: Random) -> tuple[str, str, float]:
    """Two sentences and how alike they are, from 0 to 5.

    Up to 3 points for how near their levels are, 2 points for things of the same kind.
    """
    first = clause(random, kind=_kinds(random)[0], good=_praise(random))
    same = random.random() < 0.5
    kind = first.kind if same else next(k for k in _kinds(random) if k != first.kind)
    second = clause(random, kind=kind, good=_praise(random))
    score = 3 * (1 - abs(first.level - second.level) / 4) + 2 * same
    return first.text, second.text, score
