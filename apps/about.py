"""What the page says of the model behind it and of itself; every figure is read from the card."""

from fer.card import MAJORITY, Card
from fer.portable import Portable
from fer.portable.seal import Seal
from fer.predict import Model
from fer.words import percent, with_interval

#: What a visitor reads above every tab, before anything is judged.
NOTICE = (
    "A network estimates the **expression** a face shows, not what a person feels. Pictures are judged on the machine that "
    "serves this page and not kept. Do not use it to judge people: the European Union bans emotion inference at work and in "
    "education."
)

_KEPT = """## What is kept

No file for longer than a minute. An uploaded picture lies in a folder of this page alone, and is deleted within a minute,
at the end of the page, and, where it was killed, at its next start. What is made of it, and frames of the live camera, never
reach the disk; in memory they stay until a minute after you have gone, or ten minutes without a question. There is no
flagging, no analytics, no log of what was seen, and nothing is fetched from other servers. Behind a shared link
(gradio.live) pictures pass through Gradio's tunnel on their way.
"""

_LIMITS = """## Known limits

- FER-2013, from which the released models learnt, holds 48×48 grey pictures from web searches, with labels that other people
  often disagree with.
- A picture of an expression is not a feeling.
- Smaller faces than 48 pixels, and blurred, dark, turned or covered ones are read worse; `fer robustness` measures how much.
- A heatmap shows where evidence was read; `fer faithfulness` measures how far it names what decides.
"""


def describe(model: Model) -> str:
    """The page's text on a model, as Markdown: what it is, how good, on what, what it cannot do, and what is kept."""
    own = f"{_exported(model.seal)}\n\n" if isinstance(model, Portable) else ""
    return f"## The model\n\n{_origin(model)}\n\n{own}{_figures(model.card)}\n\n{_LIMITS}\n{_KEPT}"


def _origin(model: Model) -> str:
    card = model.card
    apart = f" What sets it apart: {'; '.join(card.marks)}." if card.marks else ""
    return (
        f"`{model.name}`: architecture {card.architecture}, {len(card.classes)} classes, trained on {_origin_of(card)}.{apart}"
    )


def _origin_of(card: Card) -> str:
    return str(card.data.get("origin", "unknown data"))


def _exported(seal: Seal) -> str:
    """What was measured of the file that answers here; the figures of its card are its checkpoint's."""
    accuracy = seal.proof.get("accuracy")
    if not accuracy:
        return f"Exported as {seal.format}; its own accuracy was not measured then. Of the checkpoint it was made from:"
    before, after = accuracy
    return (
        f"Exported as {seal.format}: accuracy {percent(after)} on the {seal.proof['n']:,} faces of its {seal.proof['faces']} "
        f"split ({percent(before)} before it was exported). Of the checkpoint it was made from:"
    )


def _figures(card: Card) -> str:
    metrics = card.metrics.get("validation")
    if not metrics:
        return "Its card holds no figures: measure it with `fer evaluate`."
    figures = (
        f"Accuracy on the validation split of {_origin_of(card)}: {with_interval(metrics['accuracy'], metrics['ci95'])}, "
        f"n = {metrics['n']:,}; macro F1 {metrics['macro_f1']:.3f}; calibration error {_calibration(card)}."
        f"{_by_majority(card)}"
    )
    rows = [
        f"| {label} | {percent(own['recall'])} | {percent(own['precision'])} | {own['n']:,} |"
        for label, own in metrics.get("per_class", {}).items()
    ]
    head = ["| expression | recognised | right when said | faces |", "|---|---|---|---|"]
    return "\n".join([figures, "", *head, *rows])


def _by_majority(card: Card) -> str:
    """The figure that others give of models of FER+'s votes."""
    agreed = card.metrics.get(MAJORITY)
    if not agreed:
        return ""
    accuracy = with_interval(agreed["accuracy"], agreed["ci95"])
    return f" On the {agreed['n']:,} faces with a label by FER+'s majority rule: {accuracy}."


def _calibration(card: Card) -> str:
    """On faces that the scores were not calibrated on, where the card has them: on the others it is smaller than it is."""
    unseen = card.metrics.get("validation/held-out")
    if unseen:
        return f"{unseen['ece']:.3f} on the {unseen['n']:,} of these faces that its scores were not calibrated on"
    return f"{card.metrics['validation']['ece']:.3f}"
