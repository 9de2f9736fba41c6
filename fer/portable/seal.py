"""What an exported file says of itself, in one JSON text that travels inside it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from fer.card import Card

#: Raised by one whenever older programs could misread a new file.
SCHEMA = 1
#: Key of the text in a file's own metadata.
KEY = "fer"
#: Key of the sha256 over a file, and what stands in its place before it is known.
SUM_KEY, NO_SUM = "fer_sha256", "0" * 64


@dataclass(frozen=True)
class Seal:
    """Card and proof of an exported model.

    Attributes:
        card: that of the checkpoint it was made from.
        format: name in :data:`fer.export.FORMATS`.
        lacks_maps: why it gives no heatmaps, in words; empty where it does.
        proof: what was measured when it was compared with the checkpoint; empty before.
    """

    card: Card
    format: str
    lacks_maps: str = ""
    proof: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """One line of JSON."""
        content = {"schema": SCHEMA, "format": self.format, "lacks_maps": self.lacks_maps, "proof": dict(self.proof)}
        return json.dumps(content | {"card": json.loads(self.card.to_json())}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Inverse of :meth:`to_json`; ValueError, KeyError or TypeError on anything else."""
        content = json.loads(text)
        if not isinstance(content, dict) or not isinstance(content.get("schema"), int):
            raise TypeError("it is no JSON object with a schema")
        if content["schema"] > SCHEMA:
            raise ValueError(f"written by a newer version (schema {content['schema']}, {SCHEMA} is read here)")
        return cls(
            Card.from_json(json.dumps(content["card"])), str(content["format"]), str(content["lacks_maps"]), content["proof"]
        )
