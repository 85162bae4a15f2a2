"""What users write reaches a reader of Markdown as they wrote it; a real CommonMark parser reads it back."""

import pytest
from markdown_it import MarkdownIt
from paretune.reports.pages.markdown import fence, markdown_text

WRITTEN = [
    "a | b",
    "# heading",
    "ends with #",
    "- item",
    "+ item",
    "---",
    "===",
    "1. first",
    "2) second",
    "> quoted",
    "    indented",
    "```sh",
    "~~~",
    "~~struck~~",
    "*a* __b__ `c` snake_case_name",
    "[x](javascript:alert(1))",
    "![x](http://e.org/a.png)",
    "[x]: http://e.org",
    "[^1] and [ ] task",
    "<javascript:alert(1)> <b>bold</b> <!-- gone -->",
    "&lt; &amp; &#106;",
    "back\\slash\\",
    "\\*not bold\\*",
    "two\n\nparagraphs  \nand a break",
    "https://e.org/x?a=1&b=2 and www.e.org",
    "mailto:a@e.org",
    "price $x$ and $$y$$",
    "=cmd|' /C calc'!A0",
    "/home/user/a_b/c*d.yaml:12",
    "#3 (width=16, int8 (minmax 16), toy)",
]


def parser():
    return MarkdownIt("commonmark").enable(["table", "strikethrough"])


def texts(tokens):
    """Each inline token's kinds of children, and the text that they show."""
    for token in tokens:
        if token.type == "inline":
            yield {child.type for child in token.children}, "".join(child.content for child in token.children)


@pytest.mark.parametrize("written", WRITTEN)
@pytest.mark.parametrize("where", ["- {}", "# {}", "**{}**", "{}", "| a | b |\n| --- | --- |\n| {} | x |"])
def test_a_text_is_shown_as_it_was_written(written, where):
    tokens = parser().parse(where.format(markdown_text(written)))
    plain = parser().parse(where.format("word"))
    assert [token.type for token in tokens] == [token.type for token in plain]
    found, expected = list(texts(tokens)), list(texts(plain))
    assert [kinds for kinds, _ in found] == [kinds for kinds, _ in expected]
    shown = " ".join(written.split())
    assert [text for _, text in found] == [text.replace("word", shown) for _, text in expected]


@pytest.mark.parametrize(
    "address", ["https://e.org", "HTTP://e.org", "www.e.org", "mailto:a@e.org", "x+y://z"]
)
def test_no_viewer_makes_a_link_of_an_address(address):
    text = markdown_text(f"see {address}")
    assert address not in text
    assert "\\:" in text or "www\\." in text


def test_what_steers_or_turns_text_round_is_not_passed_on():
    text = markdown_text("a\x1b[31mred\x00 \u202egnp.exe \ud800 \u2028 end")
    assert text.isprintable()
    assert "\u202e" not in text


def test_a_fence_is_longer_than_what_it_holds():
    held = "a\n````\nb"
    marks = fence(held)
    (block,) = parser().parse(f"{marks}yaml\n{held}\n{marks}")
    assert block.content == held + "\n"
    assert fence("plain") == "```"
