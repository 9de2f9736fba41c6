"""Every command in the README and the docs can be typed as it stands: command, options, and whatever it cannot do without."""

import re
import shlex
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from fer.cli import app
from tests.conftest import ROOT

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "checkpoints/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]


def shown(text: str) -> list[str]:
    """Commands that stand in lines of their own."""
    fenced = "\n".join(re.findall(r"```bash\n(.*?)```", text, re.DOTALL))
    found = re.findall(r"^fer .*$", fenced, re.MULTILINE)
    return found + re.findall(r"^ {4}(?:srun |torchrun .*-m )?(fer .*)$", text, re.MULTILINE)


def mentioned(text: str) -> list[str]:
    """Commands inside a sentence, some of them named only."""
    return re.findall(r"`(fer [^`]+)`", text)


def words_of(line: str) -> list[str]:
    line = re.split(r"\s#|\s\|\s|\s>\s", line)[0]
    line = line.strip().removesuffix(" ...")  # whatever else
    return shlex.split(re.sub(r"[\[\]]", "", line.replace("...]", "]")).replace("...", "X"))[1:]


def parse(words: list[str]) -> None:
    """As the program reads its command line; nothing is run.

    Raises:
        TyperException: the first thing that is wrong.
    """
    command, words = typer.main.get_command(app), list(words)
    context = typer.Context(command)
    while isinstance(command, TyperGroup):
        name = words.pop(0)
        command = command.get_command(context, name)
        assert command, f"there is no command {name}"
    command.make_context("fer", words)


def is_named_only(words: list[str]) -> bool:
    return len(words) == 1 or (len(words) == 2 and words[0] in ("data", "labels", "zoo"))


def lines() -> list[tuple[Path, str, bool]]:
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        found += [(page, line, True) for line in shown(text)] + [(page, line, False) for line in mentioned(text)]
    return found


LINES = lines()


@pytest.mark.parametrize(("page", "line", "whole"), LINES, ids=[f"{page.stem}-{line.strip()}"[:70] for page, line, _ in LINES])
def test_every_command_can_be_typed(page, line, whole):
    words = words_of(line)
    if not whole and is_named_only(words):
        with pytest.raises(typer.Exit):
            parse([*words, "--help"])
        return
    if not whole and words[-1].startswith("--"):  # an option is meant, whatever its value
        try:
            parse(words)
        except TyperException:
            parse([*words, "X"])
        return
    parse(words)


def test_a_wrong_command_would_be_found():
    for line in ("fer ensemble A.pth B.pth", "fer train net --no-such-option", "fer predict photo.jpg --tta"):
        with pytest.raises(TyperException):
            parse(words_of(line))
    with pytest.raises(AssertionError, match="no command nonsense"):
        parse(["nonsense"])
