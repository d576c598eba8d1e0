"""Where content may be cut."""

from itertools import pairwise

import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st

from app.services.explanation_cuts import find_cuts

pytestmark = pytest.mark.unit

PIECES = st.sampled_from(
    [
        "a", "ñ", "x1", " ", "\n", "\n\n", "\r\n", "1", "é", "e\u0301", "👩\u200d👩\u200d👧", "🇨🇴", "🇨", "👍🏽", "한",
        "ก็", "\u200d", "\u0301", "$", "$$", "$x+1$", "$$\n\\frac{a}{b}\n$$", "$8.000", "\\$", "\\", "\\*", "`", "``",
        "```",
        "```py\n", "\n```\n", "\n~~~\n", "`$x`", "*", "**", "__", "_", "~~", "# ", "[", "]", "(", ")", "![", "](u)",
        "[x](http://a.b/(c))", "![i](u \"t\")", "<", ">", "<br>", "<https://a.b>", "&", "&amp;", "&#233;", "> ", "- ",
    ]
)  # fmt: skip
MARKDOWN = st.lists(PIECES, min_size=1, max_size=25).map("".join)


def atoms(content: str) -> list[str]:
    return [content[start:end] for start, end in pairwise([0, *find_cuts(content)])]


@given(st.one_of(MARKDOWN, st.text(min_size=1)))
def test_atoms_are_the_content_and_none_is_empty(content: str) -> None:
    found = atoms(content)

    assert "".join(found) == content
    assert all(found)


@given(st.one_of(MARKDOWN, st.text(min_size=1)))
@example("$x$\u0301")
@example("**\u0301")
@example("[x](u)\ufe0f")
def test_no_grapheme_cluster_is_cut(content: str) -> None:
    assert set(find_cuts(content)) <= {match.end() for match in regex.finditer(r"\X", content)}


@given(
    st.lists(st.sampled_from(["palabra ", "é", "👩\u200d👩\u200d👧 ", "1.5 ", "\n"]), max_size=4).map("".join),
    st.data(),
)
def test_what_means_something_only_as_a_whole_is_an_atom_wherever_it_stands(before: str, data: st.DataObject) -> None:
    whole = data.draw(
        st.sampled_from(
            [
                "$x$", "$a + b$", "$\\$5$", "$\\frac{1}{2}$", "$a\nb$", "$$x$$", "$$ x\n\ny $$", "`a b`", "``a ` b``",
                "`$x$`", "[x](y)", "[a **b** $c$](http://x.y/(z)?q=1)", "[a](<b c>)", '![a](b "c d")', "[![a](b)](c)",
                "\\$", "\\*", "\\[", "**", "__", "***", "~~", "&amp;", "&#x1F600;", "<https://a.b/c>", "<br/>",
            ]
        )
    )  # fmt: skip
    content = f"{before} {whole} después"

    assert not [cut for cut in find_cuts(content) if len(before) + 1 < cut < len(before) + 1 + len(whole)]
    assert whole in atoms(content)


@pytest.mark.parametrize(
    "content",
    [
        "$8.000 y $1.800", "de $8.000 a $9.000.", "$ 8.000 $", "$x\n\ny$", "$x", "`a", "`a\n\nb`", "[a]", "[a] (b)",
        "[a\n\nb](c)", "a < b > c", "&nada", "```\n$x$ `y` [a](b)\n", "a_b",
    ],
)  # fmt: skip
def test_what_is_no_mark_is_cut_anywhere(content: str) -> None:
    assert {atom for atom in atoms(content) if len(atom) > 1} <= {"```"}


def test_a_fence_is_one_mark_with_its_language_and_what_it_holds_is_no_markdown() -> None:
    found = atoms("antes\n```python\n$x$ **y**\n```\n$x$")

    assert "```python" in found
    assert found[-3:] == ["```", "\n", "$x$"]
    assert "$" in found
    assert "**" not in found


def test_a_code_span_does_not_reach_into_a_fence() -> None:
    assert "`" in atoms("a ` b\n```\nc ` d\n```\n")


@pytest.mark.parametrize(
    "piece",
    [
        "$a ",
        "$a",
        "$$",
        "[",
        "[(",
        "[](a",
        "![x](u)",
        "`",
        "<a",
        "*",
        "\\",
        "&a",
        '[]( "',
        "\n ",
        "e\u0301",
        "\n```",
        "``",
    ],
)
def test_a_very_long_content_is_read_whatever_it_is_full_of(piece: str) -> None:
    # A search that began anew at each mark would not be done within a test's two minutes.
    content = piece * (100_000 // len(piece))

    assert find_cuts(content)[-1] == len(content)
