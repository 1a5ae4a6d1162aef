"""Equations as MathML, which browsers draw themselves: no network, no LaTeX, no script.

docutils has the translation; Sphinx has no renderer that uses it, so this is one::

    extensions = ["mathml"]
    html_math_renderer = "mathml"
"""

from __future__ import annotations

import html
import re
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

logger = logging.getLogger(__name__)


def spaced(mathml: str) -> str:
    """log D with the thin space that LaTeX puts between a function's name and a letter.

    >>> spaced("<mi>log</mi><mo>&ApplyFunction;</mo><mi>D</mi>")
    '<mi>log</mi><mo>&ApplyFunction;</mo><mspace width="0.17em"/><mi>D</mi>'
    """
    return re.sub(
        r"(<mo>&ApplyFunction;</mo>\s*)(?=<m(i|n|frac|sub|sup)>)",
        r'\1<mspace width="0.17em"/>',
        mathml,
    )


def translated(node: nodes.Element, **options: bool) -> str:
    """The equation of this node; a warning that shows it if docutils cannot read it."""
    try:
        return spaced(tex2mathml(node.astext(), **options))
    except MathError as error:
        logger.warning("equation not understood, %s: %s", error, node.astext(), location=node)
        return f"<code>{html.escape(node.astext())}</code>"


def inline(writer: Any, node: nodes.math) -> None:
    writer.body.append(translated(node))
    raise nodes.SkipNode


def display(writer: Any, node: nodes.math_block) -> None:
    writer.body.append(f'<div class="math-block">{translated(node, as_block=True)}</div>')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, Any]:
    app.add_html_math_renderer("mathml", (inline, None), (display, None))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
