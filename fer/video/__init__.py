"""Faces that move: a film or camera in, tracked and smoothed predictions out."""

from fer.video.recogniser import Recogniser, Scene, Seen
from fer.video.source import Frame, Source, open_source
from fer.video.tracker import Tracker, Tracking

__all__ = ["Frame", "Recogniser", "Scene", "Seen", "Source", "Tracker", "Tracking", "open_source"]
