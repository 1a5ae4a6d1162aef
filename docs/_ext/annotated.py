"""A Python file as a page: what is said about the code on the left, the code on the right.

    ```{annotated} minigan/autograd.py
    ```

Nothing is written twice.  The prose is what the file itself says:

    the module's docstring                     the page's introduction
    # Title -----------------                  a section
    the docstring of a class or function       beside it
    a comment on lines of its own              beside the statements below it

All that is moved to the left is taken out of the code, and lines keep their numbers.  Comments at
the end of a line stay where they are.

The upper half, ``parse``, needs the standard library only; the lower half makes HTML with Pygments,
and the directive at the end is the only part that knows Sphinx.
"""

from __future__ import annotations

import ast
import html
import io
import re
import textwrap
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonConsoleLexer, PythonLexer

TITLE = re.compile(r"#+ (.+?) -{5,}")  # a line that ends in a rule
RULE = re.compile(r"#{5,}")  # a rule above and below a comment: a banner
Definition = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


# The file, taken apart ------------------------------------------------------------------------


@dataclass
class Row:
    """Some lines of code, and what the file says of them.

    Args:
        names: of the classes and functions that begin in it, as in ``Tensor.backward``.
        prose: the docstring or comment, dedented; empty if there is none.
        lines: numbers of the lines of code, without those that the prose was taken from.
        is_banner: the comment stood between rules.
    """

    names: list[str] = field(default_factory=list)
    prose: str = ""
    lines: list[int] = field(default_factory=list)
    is_banner: bool = False


@dataclass
class Section:
    title: str  # empty for what stands before the first title
    rows: list[Row] = field(default_factory=list)


@dataclass
class Start:
    """A line at which a row begins, and what is said there."""

    prose: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    title: str = ""
    is_banner: bool = False
    joins: bool = False  # without prose it goes on in the row before


def parse(source: str) -> tuple[str, list[Section]]:
    """The introduction, and the sections with their rows.

    >>> intro, (section,) = parse('''\"\"\"Doubling.\"\"\"
    ...
    ... def double(x):
    ...     \"\"\"Twice as much.\"\"\"
    ...     # an addition is enough
    ...     return x + x  # exact
    ... ''')
    >>> intro
    'Doubling.'
    >>> [(row.names, row.prose, row.lines) for row in section.rows]
    [(['double'], 'Twice as much.', [3]), ([], 'an addition is enough', [6])]
    """
    tree, lines = ast.parse(source), source.splitlines()
    taken: set[int] = set()  # lines that became prose
    starts: dict[int, Start] = {}
    intro = _take_docstring(tree, taken)
    _definitions(tree, "", starts, taken)
    statements = {node.lineno for node in ast.walk(tree) if isinstance(node, ast.stmt)}
    _comments(source, statements | set(starts), starts, taken)
    return intro, _sections(lines, starts, taken)


def _take_docstring(node: Any, taken: set[int]) -> str:
    text = ast.get_docstring(node, clean=False)
    if text is None:
        return ""
    first = node.body[0]
    taken.update(range(first.lineno, first.end_lineno + 1))
    margin = " " * first.col_offset
    return "\n".join(line.removeprefix(margin) for line in text.splitlines()).strip()


def _definitions(parent: Any, prefix: str, starts: dict[int, Start], taken: set[int]) -> None:
    """A row for each class and function, and one for what stands between functions."""
    after_definition = True  # the first statement of a file begins a row
    for index, node in enumerate(parent.body):
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        if isinstance(node, Definition):
            prose = _take_docstring(node, taken)
            # Methods without a word of their own go on below the docstring of their class.
            previous = parent.body[index - 1] if index else None
            joins = bool(prefix) and not (
                isinstance(previous, Definition) and ast.get_docstring(previous)
            )
            start = Start([prose] if prose else [], [prefix + node.name], joins=joins)
            starts[first] = start
            if isinstance(node, ast.ClassDef):
                _definitions(node, f"{prefix}{node.name}.", starts, taken)
            after_definition = True
        elif first not in taken:
            if after_definition and not prefix:
                starts[first] = Start()
            after_definition = False


def _comments(source: str, statements: set[int], starts: dict[int, Start], taken: set[int]) -> None:
    """Comments on lines of their own, if the next line of code begins a statement."""
    comments: dict[int, str] = {}
    codes: list[int] = []
    skipped = {tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        number = token.start[0]
        if token.type == tokenize.COMMENT and token.line.strip() == token.string:
            comments[number] = token.string
        elif token.type not in skipped and number not in taken:
            codes.append(number)
    for block in _runs(sorted(comments)):
        below = next((n for n in codes if n > block[-1]), None)
        if below not in statements:
            continue
        taken.update(block)
        start = starts.setdefault(below, Start())
        start.joins = False
        texts = [comments[n] for n in block]
        titles = [m[1] for text in texts if (m := TITLE.fullmatch(text))]
        start.title = titles[0] if titles else start.title
        start.is_banner |= any(RULE.fullmatch(text) for text in texts)
        said = [re.sub(r"^# ?", "", t) for t in texts
                if not TITLE.fullmatch(t) and not RULE.fullmatch(t)]  # fmt: skip
        if said:
            start.prose.insert(0, textwrap.dedent("\n".join(said)).strip())


def _runs(numbers: list[int]) -> Iterator[list[int]]:
    """Neighbouring numbers together.

    >>> list(_runs([1, 2, 5]))
    [[1, 2], [5]]
    """
    run: list[int] = []
    for number in numbers:
        if run and number != run[-1] + 1:
            yield run
            run = []
        run.append(number)
    if run:
        yield run


def _sections(lines: list[str], starts: dict[int, Start], taken: set[int]) -> list[Section]:
    sections = [Section("")]
    row = Row()
    for number in range(1, len(lines) + 1):
        start = starts.get(number)
        if start is not None:
            if start.title:
                sections.append(Section(start.title))
            if start.title or start.prose or not start.joins:
                row = Row(prose="\n\n".join(start.prose), is_banner=start.is_banner)
                sections[-1].rows.append(row)
            row.names += start.names
        if number not in taken:
            row.lines.append(number)
    for section in sections:
        for row in section.rows:
            while row.lines and not lines[row.lines[-1] - 1].strip():
                row.lines.pop()
            while row.lines and not lines[row.lines[0] - 1].strip():
                row.lines.pop(0)
    return [section for section in sections if section.rows]


# As HTML --------------------------------------------------------------------------------------


def prose_html(text: str) -> str:
    """Paragraphs, lists of arguments, formulas (indented) and examples (``>>>``) of a docstring.

    >>> print(prose_html("The sum.\\n\\n    s = a + b\\n\\nArgs:\\n    a: a *number*, ``1`` or so"))
    <p>The sum.</p>
    <pre class="formula">s = a + b</pre>
    <p class="label">Args</p>
    <dl><dt>a</dt><dd>a <em>number</em>, <code>1</code> or so</dd></dl>
    """
    parts = []
    blocks = re.split(r"\n\s*\n", text.strip("\n"))
    for block in _joined(blocks):
        first = block.splitlines()[0]
        if block.lstrip().startswith(">>>"):
            code = highlight(textwrap.dedent(block), PythonConsoleLexer(), HtmlFormatter())
            parts.append(code.strip())
        elif first.startswith("    "):
            parts.append(f'<pre class="formula">{html.escape(textwrap.dedent(block))}</pre>')
        elif re.fullmatch(r"[A-Z]\w+:", first) and "\n    " in block:
            items = _items(textwrap.dedent(block.split("\n", 1)[1]))
            parts.append(f'<p class="label">{first[:-1]}</p>\n<dl>{items}</dl>')
        elif re.match(r"[*-] ", first):
            items = re.split(r"^[*-] ", block, flags=re.MULTILINE)[1:]
            parts.append("<ul>" + "".join(f"<li>{_inline(i)}</li>" for i in items) + "</ul>")
        else:
            parts.append(_paragraph(block))
    return "\n".join(parts)


def _joined(blocks: list[str]) -> Iterator[str]:
    """Indented blocks in a row are one, with their empty lines."""
    held = ""
    for block in blocks:
        if held and block.startswith("    "):
            held += "\n\n" + block
            continue
        if held:
            yield held
        held = block if block.startswith("    ") else ""
        if not held:
            yield block
    if held:
        yield held


def _paragraph(block: str) -> str:
    """Text, with the indented lines in it as a formula."""
    parts = []
    for indented, run in _by_indent(block.splitlines()):
        text = "\n".join(run)
        if indented:
            parts.append(f'<pre class="formula">{html.escape(textwrap.dedent(text))}</pre>')
        else:
            parts.append(f"<p>{_inline(text)}</p>")
    return "\n".join(parts)


def _by_indent(lines: list[str]) -> Iterator[tuple[bool, list[str]]]:
    run: list[str] = []
    for line in lines:
        if run and line.startswith("    ") != run[-1].startswith("    "):
            yield run[0].startswith("    "), run
            run = []
        run.append(line)
    yield run[0].startswith("    "), run


def _items(text: str) -> str:
    """``name: what it is``, continued on lines that are indented."""
    found = []
    for item in re.split(r"\n(?=\S)", text):
        name, _, said = item.partition(":")
        found.append(f"<dt>{html.escape(name)}</dt><dd>{_inline(said)}</dd>")
    return "".join(found)


def _inline(text: str) -> str:
    """``code``, roles as code, *emphasis*."""
    text = html.escape(" ".join(text.split()), quote=False)
    text = re.sub(r":\w+:`~?([^`]+)`", r"``\1``", text)
    parts = re.split(r"``(.+?)``", text)  # every second one is code
    for i, part in enumerate(parts):
        emphasis = re.sub(r"(?<![\w*])\*(\w[^*]*?\w|\w)\*(?![\w*])", r"<em>\1</em>", part)
        parts[i] = f"<code>{part}</code>" if i % 2 else emphasis
    return "".join(parts)


def section_html(section: Section, code: list[str]) -> str:
    """The rows of a section; ``code`` are the file's lines, highlighted."""
    rows, anchors = [], set()
    for row in section.rows:
        shown = row.names[:1] if row.prose else row.names
        names = "".join(f'<span class="name">{html.escape(name)}</span>' for name in shown)
        anchor = f' id="{row.names[0]}"' if row.names and row.names[0] not in anchors else ""
        anchors.update(row.names)  # a property and its setter have one name
        prose = prose_html(row.prose) if row.prose else ""
        lines = "\n".join(
            f'<span class="line" data-n="{n}">{code[n - 1]}</span>' for n in row.lines
        )
        kind = "row banner" if row.is_banner else "row"
        rows.append(
            f'<div class="{kind}"{anchor}><div class="prose"><div class="names">{names}</div>'
            f'{prose}</div><div class="highlight"><pre>{lines}</pre></div></div>'
        )
    return f'<div class="annotated">{"".join(rows)}</div>'


def highlighted(source: str) -> list[str]:
    """The lines of the file as HTML, coloured with the whole file in view."""
    text = highlight(source, PythonLexer(stripnl=False), HtmlFormatter(nowrap=True))
    return text.rstrip("\n").split("\n")


# For Sphinx -----------------------------------------------------------------------------------


def setup(app: Any) -> dict[str, Any]:
    from docutils import nodes
    from docutils.parsers.rst import Directive

    class Annotated(Directive):
        """The page of the file in its argument, a path from the checkout's root."""

        required_arguments = 1

        def run(self) -> list[Any]:
            env = self.state.document.settings.env
            path = Path(app.srcdir).parent / self.arguments[0]
            env.note_dependency(str(path))
            source = path.read_text(encoding="utf-8")
            intro, sections = parse(source)
            code = highlighted(source)
            made: list[Any] = [self.raw(f'<div class="annotated-intro">{prose_html(intro)}</div>')]
            for section in sections:
                rows = self.raw(section_html(section, code))
                if section.title:
                    title = nodes.title(section.title, section.title)
                    ids = [nodes.make_id(section.title)]
                    made.append(nodes.section("", title, rows, ids=ids, names=[]))
                else:
                    made.append(rows)
            return made

        def raw(self, text: str) -> Any:
            return nodes.raw("", text, format="html")

    app.add_directive("annotated", Annotated)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
