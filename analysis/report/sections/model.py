"""The checkpoint's own card."""

import json
from collections.abc import Mapping
from typing import Any

from analysis.report.material import Material
from analysis.report.section import Section, Table, section
from fer.words import number, percent


@section("model", "Model card")
def model(material: Material) -> Section:
    """What the checkpoint says of itself; its figures of single splits stay in its card."""
    checkpoint = material.checkpoint
    card = json.loads(checkpoint.card.to_json())
    card.pop("metrics")
    parameters = sum(parameter.numel() for parameter in checkpoint.model.parameters())
    numbers = {"name": checkpoint.name, "parameters": parameters, "card": card}
    config = tuple((key, _plain(value)) for key, value in _flat(card["config"]) if value not in ("", None, [], {}))
    return Section(
        numbers,
        (
            Table(f"card of {checkpoint.name}", ("", "value"), _facts(numbers), prose=True),
            *([Table("settings of its training", ("setting", "value"), config, prose=True)] if config else []),
        ),
    )


def _facts(numbers: Mapping[str, Any]) -> tuple[tuple[str, ...], ...]:
    card, facts = numbers["card"], []
    facts += [("architecture", f"{card['architecture']}, {card['variant']}"), ("parameters", f"{numbers['parameters']:,}")]
    facts += [("classes", ", ".join(card["classes"]))]
    form = card["preprocess"]
    facts += [("input", f"{form['size']} × {form['size']} pixels, {form['channels']} channel{'s' * (form['channels'] > 1)}")]
    facts += [("temperature", number(card["temperature"])), ("seed", str(card["seed"]))]
    if card["best_epoch"]:
        facts += [("chosen epoch", str(card["best_epoch"]))]
        facts += [(f"accuracy, {split}", percent(card[f"{split}_accuracy"])) for split in ("train", "validation")]
    facts += [(name, text) for name, text in {**card["hardware"], **card["versions"]}.items() if isinstance(text, str)]
    facts += [("weights", card["weights_sha256"])]
    return tuple(facts)


def _flat(config: Mapping[str, Any], before: str = "") -> list[tuple[str, Any]]:
    """Settings of all groups, as ``optimizer.lr`` where they stand in one."""
    found = []
    for key, value in sorted(config.items()):
        found += _flat(value, f"{before}{key}.") if isinstance(value, Mapping) else [(before + key, value)]
    return found


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
