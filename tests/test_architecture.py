"""What the design asks of the tree, beyond what the linters check."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted(path for folder in ("fer", "analysis", "apps") for path in (ROOT / folder).rglob("*.py"))
LONGEST_FILE, LONGEST_BODY = 400, 60


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_stay_within_their_budget(path):
    text = path.read_text()
    assert text.count("\n") <= LONGEST_FILE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno - node.body[0].lineno < LONGEST_BODY, node.name


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_grab_bags_and_nothing_left_for_later(path):
    assert path.stem not in ("utils", "helpers", "misc", "common")
    assert not re.search(r"\b(TODO|FIXME|XXX|HACK)\b", path.read_text())


def loaded_modules(statement):
    code = f"{statement}; import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return {name.split(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize(
    ("statement", "forbidden"),
    [
        ("import fer", {"torch", "numpy", "typer"}),
        ("import fer.types", {"torch"}),
        ("import fer.config", {"torch", "numpy", "pydantic"}),
        ("import fer.training.run", {"gradio", "typer", "pytorch_grad_cam", "cv2", "pydantic"}),
        ("import analysis.gallery", {"gradio", "typer"}),
    ],
)
def test_light_modules_stay_light(statement, forbidden):
    assert not loaded_modules(statement) & forbidden


def test_every_public_name_can_be_fetched():
    import fer

    assert all(getattr(fer, name) is not None for name in fer.__all__)
    assert set(fer.__all__) <= set(dir(fer))
    with pytest.raises(AttributeError, match="nonsense"):
        _ = fer.nonsense


def test_locks_name_no_address():
    locks = list(ROOT.glob("requirements*.lock"))
    assert locks
    for lock in locks:
        assert "://" not in lock.read_text()
        assert "--hash=sha256:" in lock.read_text()
