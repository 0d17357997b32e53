"""Text for TeX: every character is shown, none is obeyed."""

from __future__ import annotations

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

JOINED = ("--", "''", ",,")
"""What TeX would make another character of."""

LONG_WORD = 24
"""Characters of a word that may be broken in it, after a sign."""

BREAKS = "/,:=;_.+-"


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
    line = unicodedata.normalize("NFC", " ".join(text.split()))
    tex: str = ENCODER.unicode_to_latex(line)
    for pair in JOINED:
        while pair in tex:
            tex = tex.replace(pair, "{}".join(pair))
    return "".join(sign if " " <= sign <= "~" else _code(sign) for sign in tex)


def prose(text: str) -> str:
    """A sentence; what stands between backticks is set as code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return "".join(
        rf"\texttt{{{escape(part)}}}" if number % 2 else _spaced(part)
        for number, part in enumerate(parts)
    )


def figure(text: str) -> str:
    """A figure, its minus as one."""
    padded = f" {text} "
    around = zip(padded, padded[1:], padded[2:], strict=False)
    return escape("".join("−" if _minus(*three) else three[1] for three in around))


def _minus(before: str, sign: str, after: str) -> bool:
    return sign == "-" and after in "0123456789." and not before.isalnum()


def breakable(text: str) -> str:
    """Escaped, with leave to break long words after a sign."""
    words = text.split()
    return " ".join(_broken(word) if len(word) > LONG_WORD else escape(word) for word in words)


def _broken(word: str) -> str:
    parts = [""]
    for sign in word:
        parts[-1] += sign
        if sign in BREAKS:
            parts.append("")
    return r"\allowbreak{}".join(escape(part) for part in parts if part)


def _spaced(text: str) -> str:
    """Escaped, with the blanks that separate it from its neighbours."""
    before = " " if text[:1].isspace() else ""
    after = " " if text[-1:].isspace() and text.strip() else ""
    return before + escape(text) + after
