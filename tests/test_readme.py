"""What the README promises is there."""

import re

import pytest

from fer.release import TABLE_END, TABLE_START, markdown_table
from tests.conftest import ROOT
from tests.test_docs import PAGES

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_table_is_what_the_cards_say():
    between = README.split(TABLE_START)[1].split(TABLE_END)[0]
    assert between.strip() == markdown_table().strip()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page):
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")) if "://" not in link]
    assert links or page != ROOT / "README.md"
    assert [link for link in links if not (page.parent / link.partition("#")[0]).exists()] == []


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"make (\w+)", README)
    assert targets
    assert [target for target in targets if not re.search(rf"^{target}:", makefile, re.MULTILINE)] == []


def test_the_python_example_runs(capsys):
    example = re.search(r"```python\n(.*?)```", README, re.DOTALL)[1]
    exec(compile(example, "README.md", "exec"), {})
    assert "happy" in capsys.readouterr().out
