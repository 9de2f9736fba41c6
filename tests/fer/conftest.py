"""Fixtures of the tests on data sets."""

import pytest


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def refused(fer, cache):
    """Checks that ``fer data info PATH`` ends in one line that names the path, and returns the line."""

    def run(path):
        outcome = fer("data", "info", path)
        assert outcome.code == 2
        assert outcome.out == ""
        (line,) = outcome.err.splitlines()
        assert line.startswith("fer: ") and str(path) in line and "Traceback" not in line
        assert not cache.exists() or not list(cache.iterdir())
        return line

    return run
