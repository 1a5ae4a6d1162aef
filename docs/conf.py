"""Sphinx configuration.  ``make -C docs html`` builds the site, without network."""

import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS.parent), str(DOCS / "_ext")]  # the checkout itself, installed or not

import annotated  # noqa: E402

from minigan import __version__  # noqa: E402

project = "minigan"
author = "The minigan authors"
release = version = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "annotated", "mathml"]
exclude_patterns = ["_build", "_ext"]

myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence"]
myst_heading_anchors = 3
html_math_renderer = "mathml"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"


def docstring_as_html(app, what, name, obj, options, lines):
    """The project's docstrings are text with formulas, not reStructuredText."""
    made = annotated.prose_html("\n".join(lines)) if any(lines) else ""
    html = f'<div class="docstring">{made}</div>'.split("\n")
    lines[:] = [".. raw:: html", "", *(f"    {line}" for line in html), ""] if made else []


def setup(app):
    app.connect("autodoc-process-docstring", docstring_as_html)


html_theme = "furo"
html_title = f"minigan {__version__}"
html_static_path = ["_static"]
html_css_files = ["minigan.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
