"""Text for TeX: every character is shown, none is obeyed."""

from __future__ import annotations

import re
import unicodedata

from pylatexenc.latexencode import (
    RULE_DICT,
    UnicodeToLatexConversionRule,
    UnicodeToLatexEncoder,
)

OURS = {
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    '"': r"\char34{}",
    "«": r"\ensuremath{\ll}",
    "»": r"\ensuremath{\gg}",
    "★": r"\ensuremath{\bigstar}",
    "✓": r"\ensuremath{\checkmark}",
    "✗": r"\ensuremath{\times}",
    "Ű": r"\H{U}",
    "ű": r"\H{u}",
    **{bar: rf"\rule{{0.4em}}{{0.{height}em}}" for height, bar in enumerate("▁▂▃▄▅▆▇█", 1)},
    **{sign: f"[U+{ord(sign):04X}]" for sign in "\u00adŉƕƞ"},
}
"""What pylatexenc has no command for, or one that plain documents have not; bars of sparklines."""

LONG_WORD = 24
"""Characters of a word that may be broken in it, after a sign."""


def _code(character: str) -> str:
    return f"[U+{ord(character):04X}]"


ENCODER = UnicodeToLatexEncoder(
    conversion_rules=[
        UnicodeToLatexConversionRule(RULE_DICT, {ord(sign): tex for sign, tex in OURS.items()}),
        "defaults",
    ],
    unknown_char_policy=_code,
    unknown_char_warning=False,
)


def escape(text: str) -> str:
    r"""``text`` on one line, as TeX shows it character by character.

    What pdfTeX has no character for appears as its code, e.g. ``[U+4E2D]``; nothing is dropped.

    >>> print(escape("a_b & 50 % of {x} -- ±2 <s>"))
    a\_b \& 50 \% of \{x\} -{}- \ensuremath{\pm}2 \textless{}s\textgreater{}
    """
    line = unicodedata.normalize("NFC", re.sub(r"\s+", " ", text))
    # TeX would make another character of two of these.
    tex = re.sub(r"([-',])(?=\1)", r"\1{}", ENCODER.unicode_to_latex(line))
    return "".join(sign if " " <= sign <= "~" else _code(sign) for sign in tex)


def prose(text: str) -> str:
    """A sentence; what stands between backticks is set as code."""
    parts = map(escape, re.split("`([^`]+)`", text))
    return "".join(rf"\texttt{{{part}}}" if at % 2 else part for at, part in enumerate(parts))


def figure(text: str) -> str:
    """A figure, its minus as one."""
    return escape(re.sub(r"(?<![^\W_])-(?=[0-9.])", "−", text))


def breakable(text: str) -> str:
    """Escaped, with leave to break long words after a sign."""
    return " ".join(
        r"\allowbreak{}".join(map(escape, re.findall(r"[^/,:=;_.+-]*[/,:=;_.+-]|.+", word)))
        if len(word) > LONG_WORD
        else escape(word)
        for word in text.split()
    )
