"""Material for reports without a pass of a model, and what a reader sees of a page."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import torch

from analysis.explain import HeatmapTable
from analysis.report.extras import Extra
from analysis.report.material import Material
from fer import checkpoint as checkpoints
from fer.data import Corpus, FaceSet
from fer.data.ferplus import CANDIDATES
from fer.types import PredictionTable
from tests import fakes


def material_of(table: PredictionTable, checkpoint_file: Path, *, votes: bool = False, **extras: object) -> Material:
    """Fake faces for a table, with maps of noise for the answers; extras by kind are values or whole."""
    rng = np.random.default_rng(3)
    n = len(table)
    images = np.stack([fakes.fake_face(table.classes[label], row) for row, label in enumerate(table.labels)])
    faces = FaceSet(
        torch.from_numpy(images)[:, None], torch.from_numpy(table.labels.copy()), table.names, table.split, table.classes
    )
    values, peaks = rng.random((n, 48, 48)), rng.random(n)
    heatmaps = HeatmapTable(values, peaks, table.predicted, table.classes, "gradcam", table.names)
    counts = rng.multinomial(10, np.ones(len(CANDIDATES)) / len(CANDIDATES), n) if votes else None
    corpus = Corpus(Path("fakes.zip"), {table.split: faces})
    known = {kind: one if isinstance(one, Extra) else Extra(kind, Path(f"{kind}.json"), one) for kind, one in extras.items()}
    return Material(checkpoints.load(checkpoint_file), corpus, table, heatmaps, faces, counts, known)


def numbers_in(value) -> Iterator[str]:
    """Every way in which a page may write what stands in JSON."""
    if isinstance(value, dict):
        value = [*value, list(value.values())]
    if isinstance(value, list):
        yield f"{len(value):,}"
        for item in value:
            yield from numbers_in(item)
    elif isinstance(value, str):
        yield from re.findall(r"[\d.,]*\d", value)
    elif isinstance(value, int | float):
        for one in {value, abs(value)}:  # a minus stands before the number
            yield from (f"{one:,}", f"{one:.4f}", f"{100 * one:.2f}", f"{one:.2f}", f"{100 * one:.1f}", f"{one:g}")
        yield "0.001" if value < 0.001 else "0"  # as in p < 0.001


def shown_in(words: str) -> list[str]:
    """Numbers among words: hashes, names and `95 %` are none."""
    words = re.sub(r"95 %|\(best\) to 2|0 to 1|−1 \(mingled\) to 1|0 \(best|severity \d", "", words)
    return re.findall(r"(?<![\w.,])\d+(?:,\d{3})*(?:\.\d+)*(?![\w…])(?!\.\w)", words)


class Seen(HTMLParser):
    """Words of every section by its id, headings in order, tags with attributes, and the data blocks."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: dict[str, str] = {}
        self.headings: list[tuple[int, str]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.blocks: dict[str, str] = {}
        self._section, self._block, self._heading = "", "", 0
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if tag == "section":
            self._section = attributes["id"]
        if tag in ("script", "style"):
            self._block = attributes.get("id", tag)
        if re.fullmatch("h[1-6]", tag):
            self._heading = int(tag[1])
            self.headings.append((self._heading, ""))
        if attributes.get("alt"):
            self._say(attributes["alt"])

    def handle_data(self, data):
        if self._block:
            self.blocks[self._block] = self.blocks.get(self._block, "") + data
            return
        if self._heading:
            level, text = self.headings.pop()
            self.headings.append((level, text + data))
        self._say(data)

    def handle_endtag(self, tag):
        if tag == "section":
            self._section = ""
        if tag in ("script", "style"):
            self._block = ""
        if re.fullmatch("h[1-6]", tag):
            self._heading = 0

    def _say(self, text):
        if self._section:
            self.words[self._section] = self.words.get(self._section, "") + text.replace("\u00a0", " ") + " "
