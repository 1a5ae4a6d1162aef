"""Annotated source: nothing of a file is lost, and what it says stands beside its code."""

import doctest
import re
from pathlib import Path

import pytest

pytest.importorskip("pygments", reason="the annotated pages are coloured by Pygments")

import annotated  # docs/_ext, see setup.cfg

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs/source").rglob("*.md"))


SOURCE = '''"""Two numbers.

    s = a + b
"""

import math  # for pi


# Sums ---------------------------------------------------------------------------------------


def add(a, b):
    """Their sum.

    >>> add(1, 2)
    3
    """
    ###########
    # (1) Add
    ###########
    s = a + b

    # A comment of
    # two lines.
    return (
        # inside an expression it stays
        s
    )


class Number:
    """Holds one."""

    def __init__(self, x):
        self.x = x

    def get(self):
        """Give it."""
        return self.x

    @property
    def twice(self):
        return "# not a comment", 2 * self.x


CONSTANT = 1
'''


def rows():
    _, sections = annotated.parse(SOURCE)
    return [row for section in sections for row in section.rows]


def test_doctests():
    failed, tried = doctest.testmod(annotated)
    assert tried
    assert not failed


def test_introduction_and_sections():
    intro, sections = annotated.parse(SOURCE)
    assert intro == "Two numbers.\n\n    s = a + b"
    assert [section.title for section in sections] == ["", "Sums"]


def test_prose_stands_beside_its_code():
    lines = SOURCE.splitlines()
    found = [
        (row.prose.split("\n")[0], [lines[n - 1].strip() for n in row.lines]) for row in rows()
    ]
    assert found == [
        ("", ["import math  # for pi"]),
        ("Their sum.", ["def add(a, b):"]),
        ("(1) Add", ["s = a + b"]),
        (
            "A comment of",
            ["return (", "# inside an expression it stays", "s", ")"],
        ),
        ("Holds one.", ["class Number:", "", "def __init__(self, x):", "self.x = x"]),
        ("Give it.", ["def get(self):", "return self.x"]),
        ("", ["@property", "def twice(self):", 'return "# not a comment", 2 * self.x']),
        ("", ["CONSTANT = 1"]),
    ]
    assert [row.is_banner for row in rows()] == [row.prose == "(1) Add" for row in rows()]


def test_names():
    names = [name for row in rows() for name in row.names]
    assert names == ["add", "Number", "Number.__init__", "Number.get", "Number.twice"]


@pytest.mark.parametrize("path", sorted((ROOT / "minigan").rglob("*.py")), ids=lambda p: p.stem)
def test_every_word_of_a_file_is_on_its_page_once(path):
    """Of all files of the package: the code's lines once, and the rest as prose."""
    source = path.read_text(encoding="utf-8")
    intro, sections = annotated.parse(source)
    lines = source.splitlines()
    shown = [n for section in sections for row in section.rows for n in row.lines]
    assert shown == sorted(set(shown))
    prose = [intro, *(s.title for s in sections), *(r.prose for s in sections for r in s.rows)]
    left_out = [lines[n - 1] for n in range(1, len(lines) + 1) if n not in shown]
    assert letters(prose) == letters(left_out)


def letters(texts):
    """All that is not a mark of comments and docstrings, an escape or a space, in any order."""
    return sorted(re.sub(r'"""|[#\\\s-]', "", "".join(texts)))


def test_html_of_prose():
    made = annotated.prose_html(
        "A <b> & ``x < 1``, :func:`~minigan.grad` and *this*; a * b * c.\n\n"
        "* one\n* two\n\n    y = x\n\n    z = y\n\n>>> 1 + 1\n2"
    )
    assert "<p>A &lt;b&gt; &amp; <code>x &lt; 1</code>, <code>minigan.grad</code>" in made
    assert "<em>this</em>; a * b * c.</p>" in made
    assert "<ul><li>one </li><li>two</li></ul>".replace(" </li>", "</li>") in made
    assert '<pre class="formula">y = x\n\nz = y</pre>' in made
    assert made.count('<div class="highlight">') == 1


def test_html_of_a_section_has_each_line_with_its_number():
    _, (first, second) = annotated.parse(SOURCE)
    code = annotated.highlighted(SOURCE)
    assert len(code) == len(SOURCE.splitlines())
    made = annotated.section_html(first, code) + annotated.section_html(second, code)
    assert made.count('class="line"') == sum(len(row.lines) for row in rows())
    assert 'data-n="6"' in made
    assert 'id="Number.get"' in made
    assert '<div class="row banner">' in made


def test_each_annotated_page_names_a_file_and_each_functional_file_has_a_page():
    shown = set()
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        if "{annotated}" in text:
            shown.add(text.split("{annotated} ")[1].split("\n")[0])
    assert all((ROOT / path).is_file() for path in shown)
    others = ("autograd", "objectives", "penalties", "elbo", "train/step", "train/unrolled",
              "models/gan", "models/dcgan")  # fmt: skip
    expected = {f"minigan/{name}.py" for name in others}
    functional = (ROOT / "minigan/functional").glob("*.py")
    expected |= {f"minigan/functional/{p.name}" for p in functional if p.stem != "__init__"}
    assert shown == expected
