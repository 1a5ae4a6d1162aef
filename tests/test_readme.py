"""What the README promises is what the code does."""

import re
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


@pytest.fixture(scope="module")
def text():
    return README.read_text(encoding="utf-8")


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_quick_start_is_two_commands(text):
    section = text.split("## Quick start")[1].split("\n## ")[0]
    commands = [block for block in blocks(section, "sh") if "pip install" in block]
    assert len(commands) == 2
    assert all(block.startswith("python3 -m venv") for block in commands)
    assert commands[0].strip().endswith("&& minigan train gan")
    assert commands[1].strip().endswith("&& pytest")


def test_the_step_shown_is_the_step_played(text):
    (shown,) = (block for block in blocks(text, "python") if "(1) Update D" in block)
    source = (ROOT / "minigan/train/step.py").read_text(encoding="utf-8")
    assert textwrap.indent(shown, "    ") in source


def test_the_library_example_runs(text):
    (example,) = (block for block in blocks(text, "python") if "import minigan" in block)
    names = {}
    exec(example, names)
    assert names["loss"].item() > 0


def test_pictures_and_links_exist(text):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
        assert (ROOT / target).is_file(), target
