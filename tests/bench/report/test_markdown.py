"""Markdown shows every sentence and every cell character by character."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bench.report.render import markdown
from bench.report.table import Table

SIGNS = "ab1 *_[]()<>&;#|\\~!:.-+=x`"
texts = st.text(SIGNS, min_size=1, max_size=12).map(lambda text: " ".join(text.split()))
READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def shown(html: str) -> str:
    """The text of one paragraph, cell or code without any tag of its own."""
    assert not re.search(r"<(em|strong|s|a|img|li|ol|ul|h\d|hr|blockquote)\b", html), html
    text = re.sub(r"</?\w+[^>]*>", "", html).strip()
    for entity, sign in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&amp;", "&")):
        text = text.replace(entity, sign)
    return text


@given(texts)
@example("* was chosen on held-out")
@example("__x__ and _y_ of k_max")
@example("a&lt;b & c")
@example("1. first")
@example("12) second")
@example("- - -")
@example("# of rows")
@example("> above")
@example("[a](b) [c]: d ![e](f)")
@example("~~gone~~")
def test_a_sentence_is_one_paragraph_that_says_what_it_said(text: str) -> None:
    plain = text.replace("`", "")
    html = READER.render(markdown.prose(plain))
    assert shown(html) == " ".join(plain.split())
    assert html.count("<p>") == bool(plain.strip())


@given(texts)
@example("--")
@example("- -")
@example("[x] done")
def test_so_is_an_item_of_a_list(text: str) -> None:
    plain = " ".join(text.replace("`", "").split())
    html = READER.render(f"- {markdown.prose(plain)}")
    assert html.count("<li>") == 1
    inner = html.partition("<li>")[2].rpartition("</li>")[0]
    assert shown(inner) == plain


@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=3))
def test_a_cell_says_what_it_said(rows: list[tuple[str, str]]) -> None:
    html = READER.render(markdown.grid(Table("t", ("a", "b"), tuple(rows))))
    cells = re.findall(r"<td[^>]*>(.*?)</td>", html, re.DOTALL)
    assert [shown(cell) for cell in cells] == [cell for row in rows for cell in row]


@pytest.mark.parametrize(
    "plain",
    [
        "0.58 [0.50, 0.66]",
        "reaugkd + faiss:IVF64,Flat (dev_matched)",
        "-0.25",
        "+1.23 ± 0.10",
        "80.12 *",
        "k = 8, beta = 0.4, a - b, 2 * 3",
        "5 % & more",
        "(1) first",
    ],
)
def test_what_markdown_reads_as_text_stays_readable(plain: str) -> None:
    assert markdown.escape(plain) == plain
    assert markdown.prose(plain) == plain


def test_code_in_a_sentence_stays_code() -> None:
    html = READER.render(markdown.prose("run `bench run --set a*b*=[x](y)` on _this_"))
    assert "<code>bench run --set a*b*=[x](y)</code> on _this_" in html
