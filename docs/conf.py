"""Sphinx configuration: Markdown pages with MyST, the API from the docstrings."""

from minigan import __version__

project = "minigan"
author = "The minigan authors"
release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
myst_enable_extensions = ["dollarmath", "amsmath"]
exclude_patterns = ["_build"]
html_theme = "alabaster"
autodoc_member_order = "bysource"
