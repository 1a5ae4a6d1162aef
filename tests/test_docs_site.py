"""The site is built as ``make -C docs html`` builds it: without a warning and without network."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    for name in ("sphinx", "myst_parser", "furo"):
        pytest.importorskip(name, reason="the site needs pip install '.[docs]'")
    out = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", DOCS, out],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return out


def test_every_page_is_in_the_reading_order_and_shows_its_pictures(site):
    for source in DOCS.rglob("*.md"):
        if "_build" not in source.parts:
            page = site / source.relative_to(DOCS).with_suffix(".html")
            assert page.is_file(), source  # a page in no toctree is a warning, and fails above
            pictures = re.findall(r'<img[^>]* src="([^"]+)"', page.read_text(encoding="utf-8"))
            assert all((page.parent / picture).is_file() for picture in pictures)


def test_nothing_is_fetched_from_elsewhere(site):
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not re.findall(r'<(?:script|img|iframe)[^>]* src="(?:https?:)?//', text), page
        assert not re.findall(r'<link[^>]* rel="stylesheet"[^>]* href="(?:https?:)?//', text), page
    for sheet in site.rglob("*.css"):
        assert not re.findall(r"url\(['\"]?https?:", sheet.read_text(encoding="utf-8")), sheet


def test_equations_are_mathml(site):
    text = (site / "game.html").read_text(encoding="utf-8")
    assert "<math" in text
    assert "\\mathbb" not in text


def test_annotated_pages_have_prose_beside_code(site):
    text = (site / "source/step.html").read_text(encoding="utf-8")
    assert '<div class="row banner">' in text
    assert text.count('class="line"') > 50
