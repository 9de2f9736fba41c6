"""What the README promises is there."""

import re
from pathlib import Path

import pytest

from fer.release import TABLE_END, TABLE_START, markdown_table

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands():
    blocks = re.findall(r"```bash\n(.*?)```", README, re.DOTALL) + re.findall(r"`(fer [^`]+)`", README)
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("fer ")]


@pytest.mark.parametrize("line", commands())
def test_every_command_and_option_exists(line, fer):
    words = line.replace("...", "").split()[1:]
    command = words[:2] if words[0] in ("data", "labels", "zoo") else words[:1]
    shown = fer(*command, "--help")
    assert shown.code == 0, shown.err
    for option in [word for word in words if word.startswith("--")]:
        assert option in shown.out


def test_the_table_is_what_the_cards_say():
    between = README.split(TABLE_START)[1].split(TABLE_END)[0]
    assert between.strip() == markdown_table().strip()


def test_links_lead_to_files():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in re.findall(r"make (\w+)", README))


def test_the_python_example_runs(capsys):
    example = re.search(r"```python\n(.*?)```", README, re.DOTALL)[1]
    exec(compile(example, "README.md", "exec"), {})
    assert "happy" in capsys.readouterr().out
