"""Data sets: one source a file, all of them ending in a :class:`FaceSet`."""

from fer.data.faceset import SPLITS, Corpus, FaceSet, Skipped
from fer.data.source import load

__all__ = ["SPLITS", "Corpus", "FaceSet", "Skipped", "load"]
