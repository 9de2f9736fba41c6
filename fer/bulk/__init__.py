"""Millions of pictures: a row a face, in bounded memory, by several processes, resumable."""

from fer.bulk.run import Bulk, Summary, predict_files
from fer.bulk.stage import FaceStage

__all__ = ["Bulk", "FaceStage", "Summary", "predict_files"]
