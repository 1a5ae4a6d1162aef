"""Every number on a page comes from a committed file, and is what the file says."""

import doctest
import json
import re

import pytest
import quoted  # docs, see setup.cfg

from minigan.reproduce.result import page as result_page

PAGES = {path.relative_to(quoted.ROOT).as_posix(): path for path in quoted.pages()}
SAYS = "run python docs/quoted.py fill, see docs/numbers.md"


@pytest.fixture(scope="module")
def texts():
    return {name: path.read_text(encoding="utf-8") for name, path in PAGES.items()}


@pytest.mark.parametrize("name", PAGES)
def test_page_and_files_agree(name, texts):
    assert quoted.filled(texts[name]) == texts[name], SAYS


@pytest.mark.parametrize("name", PAGES)
def test_no_number_is_typed(name, texts):
    assert quoted.typed_numbers(texts[name]) == []


@pytest.mark.parametrize("name", PAGES)
def test_quotations_are_shown_as_text(name, texts):
    """A line that begins with a comment is HTML up to its end: no Markdown in it is read."""
    for line in texts[name].splitlines():
        if line.lstrip().startswith("<!--"):
            is_alone = re.fullmatch(r"<!--(=[^>]*|/)-->", line)
            assert is_alone or line.startswith("<!-- not measured:"), f"begins a line: {line}"
    openings = texts[name].count("<!--=")
    assert openings == len(quoted.QUOTATION.findall(texts[name])) == texts[name].count("<!--/-->")


def test_result_pages_say_what_their_files_say():
    results = sorted(quoted.RESULTS.glob("*/result.json"))
    assert results
    for path in results:
        page = path.with_suffix(".md").read_text(encoding="utf-8")
        assert page == result_page(json.loads(path.read_text(encoding="utf-8"))), path


def test_every_reproduction_is_in_the_list(texts):
    for path in quoted.RESULTS.glob("*/result.md"):
        link = f"[{path.parent.name}](results/{path.parent.name}/result.md)"
        assert link in texts["docs/reproduce.md"]


def test_nothing_is_kept_or_allowed_that_no_page_has(texts):
    everything = " ".join(" ".join(texts.values()).split())
    for path in quoted.RESULTS.rglob("*"):
        if path.name in ("output.txt", "noted.json"):
            assert f"<!--= {path.relative_to(quoted.RESULTS).as_posix()}" in everything, path
    for text in texts.values():
        shown = " ".join(quoted.NOT_MEASURED.sub("", text).split())
        assert [phrase for phrase in quoted.phrases(text) if phrase not in shown] == []


def test_doctests():
    failed, tried = doctest.testmod(quoted)
    assert tried
    assert not failed


# That the tests above can fail ----------------------------------------------------------------


@pytest.fixture
def results(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/noted.json").write_text(
        '{"times": [{"of": "train", "seconds": 2.34567, "steps": 23425, "all": [1.1, 1.25]}]}'
    )
    (tmp_path / "a/output.txt").write_text(
        "$ minigan bench\nminigan 1.5 ms\ntorch 2.5 ms\n\n| a |\n|---|\n| 1 |\n\n| b |\n|---|\n"
    )
    return tmp_path


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("a/noted.json: times / train / seconds", "2.346"),
        ("a/noted.json: times / 0 / seconds as .1f", "2.3"),
        ("a/noted.json: times / train / steps as ,", "23,425"),
        ("a/noted.json:  times /\n train / all as .2f", "1.10, 1.25"),
        (r"a/output.txt: minigan ([\d.]+)", "1.5"),
        ("a/output.txt: ^(?:minigan|torch)", "minigan 1.5 ms\ntorch 2.5 ms"),
        ("a/output.txt: table 2", "| b |\n|---|"),
    ],
)
def test_look_up(place, text, results):
    assert quoted.look_up(place, results) == text


@pytest.mark.parametrize(
    "place",
    [
        "b.json: x",
        "a/noted.json: hours",
        "a/noted.json: times / 5",
        "a/noted.json: times / train",
        r"a/output.txt: (\d\.\d) ms",  # two answers
        r"a/output.txt: cupy (\d)",
        "a/output.txt: table 3",
    ],
)
def test_look_up_names_what_is_missing(place, results):
    with pytest.raises(ValueError, match=re.escape(place)):
        quoted.look_up(place, results)


def test_filled_writes_numbers_outputs_and_tables(results):
    page = (
        "It took <!--= a/noted.json: times / train / seconds as .1f -->9.9<!--/--> s.\n\n"
        "<!--= a/output.txt: ^minigan -->\n```\nold\n```\n<!--/-->\n\n"
        "<!--= a/output.txt: table 1 -->\n\n| old |\n\n<!--/-->\n"
    )
    new = quoted.filled(page, results)
    assert "-->2.3<!--/--> s." in new
    assert "\n```\nminigan 1.5 ms\n```\n<!--/-->" in new
    assert "-->\n\n| a |\n|---|\n| 1 |\n\n<!--/-->" in new
    assert quoted.filled(new, results) == new


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("It took 5.3 s.", 1),
        ("It took `5.3` s, or $5.3$ s.", 2),
        ("a limit of 4, 5 times\n\n<!-- not measured: limit of 4 -->", 1),
        ("```\nminigan 21.14 ms\n```\n", 1),
        ("| a | 3,931 |", 1),
        ("1.9e-10 and 8-fold", 2),
        ("![a figure of 7 lines](figure-12.png)", 1),
        ("```sh\nminigan train gan --epochs 25\n```\n", 0),
        ("```{literalinclude} a.py\n:lines: 3-4\n```\n", 0),
        ("`--steps 300`, $x^2 + 3$, $$\n5\n$$ conv2d, float32", 0),
        ("Goodfellow et al. 2014, section 4.1, eq. 1 and Table 1: 28x28, 64 x 32 x 32, k = 3", 0),
        ("1. an item\n2. another, of batch 64, 25 epochs, to 1e-6", 0),
    ],
)
def test_typed_numbers(text, count):
    assert len(quoted.typed_numbers(text)) == count, quoted.typed_numbers(text)
