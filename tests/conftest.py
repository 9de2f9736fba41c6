"""Fixtures that several test files share."""

import os
import shutil

# the nets of the tests are so small that threads cost more than they bring, above all beside other work
os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from fer import checkpoint as checkpoints
from fer.card import Card
from fer.cli import main
from fer.emotions import EMOTIONS
from fer.models import MODELS
from tests import fakes

ROOT = Path(__file__).resolve().parent.parent
REAL_DATA = ROOT.parent / "shared" / "data" / "fer2013.zip"
CHROMIUM = Path("/usr/bin/chromium")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests on real data and in a real browser skip, with the reason, where these are missing."""
    no_data = pytest.mark.skip(reason=f"needs the real FER-2013 at {REAL_DATA.relative_to(ROOT.parent)} beside the project")
    no_browser = pytest.mark.skip(reason=f"needs Debian's chromium at {CHROMIUM}")
    for item in items:
        if "realdata" in item.keywords and not REAL_DATA.exists():
            item.add_marker(no_data)
        if "browser" in item.keywords and not CHROMIUM.exists() and not os.environ.get("CI"):  # CI must have one
            item.add_marker(no_browser)


def needs(*programs: str) -> pytest.MarkDecorator:
    """Skips, with the reason, where a program is not installed; in CI it must be."""
    missing = [name for name in programs if not shutil.which(name)]
    return pytest.mark.skipif(bool(missing) and not os.environ.get("CI"), reason=f"needs {', '.join(missing)}")


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is cached goes to the tests' own folder, of fixtures of any scope too; no data set is found by accident."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FER_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        patch.delenv("FER_DATA", raising=False)
        yield


@pytest.fixture(scope="session")
def fake_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fake FER set as a folder: 6 train, 3 validation, 2 test images a class. Do not change it."""
    return fakes.write_folder(tmp_path_factory.mktemp("fake-folder"), train=6, validation=3, test=2)


@pytest.fixture(scope="session")
def fake_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same set as a zip."""
    return fakes.write_zip(tmp_path_factory.mktemp("fake-zip") / "archive.zip", train=6, validation=3, test=2)


@pytest.fixture(scope="session")
def fake_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same set as fer2013.csv."""
    return fakes.write_csv(tmp_path_factory.mktemp("fake-csv") / "fer2013.csv", train=6, validation=3, test=2)


def save_random(path: Path, architecture: str = "custom_cnn", variant: str = "small", seed: int = 0) -> Path:
    """A checkpoint with random weights."""
    torch.manual_seed(seed)
    spec = MODELS[architecture].variants[variant]
    card = Card(architecture, variant, EMOTIONS, spec.preprocess, config={"dropout": 0.2})
    checkpoints.save(path, spec.build(len(EMOTIONS), 0.2).state_dict(), card)
    return path


@pytest.fixture(scope="session")
def _random_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_random(tmp_path_factory.mktemp("checkpoint") / "random.pth")


@pytest.fixture
def checkpoint_file(_random_checkpoint: Path, tmp_path: Path) -> Path:
    """A custom_cnn checkpoint with random weights; each test has its own copy."""
    return Path(shutil.copy(_random_checkpoint, tmp_path / "random.pth"))


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def fer(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Outcome]]:
    """Runs a command line in this process: ``fer("predict", path)``."""

    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    yield run


def unpacked(checkpoint: checkpoints.Checkpoint) -> checkpoints.Checkpoint:
    """The same, answering by its own network rather than by the form made of it for a CPU, which rounds in another way."""
    vars(checkpoint)["runner"] = checkpoint.model
    return checkpoint
