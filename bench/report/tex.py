"""Text for TeX: every character is shown, none is obeyed."""

from __future__ import annotations

import re
import unicodedata

SIGNS = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    '"': r"\char34{}",
    "±": r"$\pm$",
    "×": r"$\times$",
    "÷": r"$\div$",
    "·": r"$\cdot$",
    "−": "$-$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "≠": r"$\neq$",
    "≈": r"$\approx$",
    "∞": r"$\infty$",
    "→": r"$\rightarrow$",
    "←": r"$\leftarrow$",
    "√": r"$\surd$",
    "°": r"$^{\circ}$",
    "²": r"$^2$",
    "³": r"$^3$",
    "½": r"$\frac{1}{2}$",
    "–": "--",
    "—": "---",
    "…": r"\ldots{}",
    "‘": "`",
    "’": "'",
    "“": "``",
    "”": "''",
    "«": r"$\ll$",
    "»": r"$\gg$",
    "§": r"\S{}",
    "†": r"$\dagger$",
    "‡": r"$\ddagger$",
    "•": r"\textbullet{}",
    "★": r"$\bigstar$",
    "✓": r"$\checkmark$",
    "✗": r"$\times$",
    "ß": r"\ss{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
    "œ": r"\oe{}",
    "Œ": r"\OE{}",
    "µ": r"$\mu$",
    "ο": "o",
}
"""Characters with a command of their own."""


_SMALL = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi"
_REST = "pi rho varsigma sigma tau upsilon phi chi psi omega"
_LARGE = "Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega"
SIGNS |= {
    letter: rf"$\{name}$"
    for letters, names in (
        ("αβγδεζηθικλμνξ", _SMALL),
        ("πρςστυφχψω", _REST),
        ("ΓΔΘΛΞΠΣΦΨΩ", _LARGE),
    )
    for letter, name in zip(letters, names.split(), strict=True)
}
SIGNS |= {bar: rf"\rule{{0.4em}}{{0.{height}em}}" for height, bar in enumerate("▁▂▃▄▅▆▇█", 1)}
"""Sparklines: rules of eight heights."""

ACCENTS = {
    "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u",
    "\u0307": ".", "\u0308": '"', "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0327": "c",
    "\u0328": "k",
}  # fmt: skip
"""Combining characters and the command that puts them on a letter."""

JOINED = ("--", "''", ",,", "?`", "!`")
"""What TeX would make another character of."""


LONG_WORD = 24
"""Characters of a word that may be broken in it, after a sign."""


def escape(text: str) -> str:
    r"""``text`` on one line, as TeX shows it character by character.

    What pdfTeX has no character for appears as its code, e.g. ``[U+4E2D]``; nothing is dropped.

    >>> print(escape("a_b & 50 % of {x} -- ±2 <µs>"))
    a\_b \& 50 \% of \{x\} -{}- $\pm$2 \textless{}$\mu$s\textgreater{}
    """
    made = ""
    for character in unicodedata.normalize("NFC", " ".join(text.split())):
        sign = _sign(character)
        made += ("{}" if made[-1:] + sign[:1] in JOINED else "") + sign
    return made


def prose(text: str) -> str:
    """A sentence; what stands between backticks is set as code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return "".join(
        rf"\texttt{{{escape(part)}}}" if number % 2 else _spaced(part)
        for number, part in enumerate(parts)
    )


def breakable(text: str) -> str:
    """Escaped, with leave to break long words after a sign."""
    return " ".join(
        r"\allowbreak{}".join(map(escape, re.findall(r"[^/,:=;_.+-]*[/,:=;_.+-]|.+$", word)))
        if len(word) > LONG_WORD
        else escape(word)
        for word in text.split()
    )


def _sign(character: str) -> str:
    if character in SIGNS:
        return SIGNS[character]
    if " " <= character <= "~":
        return character
    letter, *marks = list(unicodedata.normalize("NFD", character))
    if letter.isascii() and letter.isalpha() and len(marks) == 1 and marks[0] in ACCENTS:
        dotless = {"i": r"\i ", "j": r"\j "}.get(letter, letter)
        return rf"\{ACCENTS[marks[0]]}{{{dotless.strip()}}}"
    return f"[U+{ord(character):04X}]"


def _spaced(text: str) -> str:
    """Escaped, with the blanks that separate it from its neighbours."""
    before = " " if text[:1].isspace() else ""
    after = " " if text[-1:].isspace() and text.strip() else ""
    return before + escape(text) + after
