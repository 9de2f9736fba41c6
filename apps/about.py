"""What the page says of the model behind it and of itself; every figure is read from the card."""

from fer.card import Card
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

- The training set is FER-2013: 48×48 grey pictures from web searches, with labels that other people often disagree with.
- A picture of an expression is not a feeling.
- Smaller faces than 48 pixels, and blurred, dark, turned or covered ones are read worse; `fer robustness` measures how much.
- A heatmap shows where evidence was read; `fer faithfulness` measures how far it names what decides.
"""


def describe(model: Model) -> str:
    """The page's text on a model, as Markdown: what it is, how good, on what, what it cannot do, and what is kept."""
    return f"## The model\n\n{_figures(model.name, model.card)}\n\n{_LIMITS}\n{_KEPT}"


def _figures(name: str, card: Card) -> str:
    origin = card.data.get("origin", "unknown data")
    first = f"`{name}`: architecture {card.architecture}, {len(card.classes)} classes, trained on {origin}."
    metrics = card.metrics.get("validation")
    if not metrics:
        return f"{first} Its card holds no figures: measure it with `fer evaluate`."
    figures = (
        f"Accuracy on the validation split (PublicTest): {with_interval(metrics['accuracy'], metrics['ci95'])}, "
        f"n = {metrics['n']:,}; macro F1 {metrics['macro_f1']:.3f}; calibration error {_calibration(card)}."
    )
    rows = [
        f"| {label} | {percent(own['recall'])} | {percent(own['precision'])} | {own['n']:,} |"
        for label, own in metrics.get("per_class", {}).items()
    ]
    head = ["| expression | recognised | right when said | faces |", "|---|---|---|---|"]
    return "\n".join([first, "", figures, "", *head, *rows])


def _calibration(card: Card) -> str:
    """On faces that the scores were not calibrated on, where the card has them: on the others it is smaller than it is."""
    unseen = card.metrics.get("validation/held-out")
    if unseen:
        return f"{unseen['ece']:.3f} on the {unseen['n']:,} of these faces that its scores were not calibrated on"
    return f"{card.metrics['validation']['ece']:.3f}"
