"""What the page draws by itself: a face beside its heatmap on a slider, bars of shares, cards of opinions."""

import html
from collections.abc import Mapping, Sequence

from apps.compare import Comparison, Map, Opinion
from apps.inline import data_url
from apps.look import FaceCard

# Bars that are shown of a card.
_BARS = 3

#: For the element that holds cards: slides the border between face and heatmap, saves pictures.
SCRIPT = """
element.addEventListener('input', event => {
  const slider = event.target.closest('.heatmap');
  if (slider) slider.style.setProperty('--cut', event.target.value + '%');
});
element.addEventListener('click', event => {
  const button = event.target.closest('button.save');
  if (!button) return;
  const link = document.createElement('a');
  link.href = button.closest('figure').querySelector('img:last-of-type').src;
  link.download = button.dataset.name;
  link.click();
});
"""


def face_cards(cards: Sequence[FaceCard]) -> str:
    """A card a face: verdict, heatmap on a slider or why there is none, the most probable classes, the regions it looks at."""
    return "".join(map(_face_card, cards))


def _face_card(card: FaceCard) -> str:
    if card.overlay is None:
        picture, regions = f'<img src="{data_url(card.face)}" alt="face {card.number}">', ""
        figure = f'<figure>{picture}<figcaption class="caption">{html.escape(card.caption)}</figcaption></figure>'
    else:
        figure, regions = _slider(card, card.overlay), _regions(card)
    return (
        f'<section class="face">{figure}'
        f'<div class="said"><h3 class="face-title">{html.escape(card.title)}</h3>'
        f'<div class="columns">{bars("Top 3", card.probabilities, "top3")}{regions}</div></div></section>'
    )


def _slider(card: FaceCard, overlay: bytes) -> str:
    """Face and heatmap with a border to slide between them."""
    number, caption = card.number, html.escape(card.caption)
    return (
        '<figure><div class="heatmap">'
        f'<img src="{data_url(card.face)}" alt="face {number}">'
        f'<img src="{data_url(overlay)}" alt="face {number} with the heatmap over it: {caption}">'
        f'<input type="range" min="0" max="100" value="50" aria-label="Border between face {number} and its heatmap">'
        f'<span class="border"></span></div><figcaption class="caption">face ↔ where the network looks ({caption}) '
        f"{_save(f'heatmap-{number}.jpg')}</figcaption></figure>"
    )


def _regions(card: FaceCard) -> str:
    if card.regions is None:
        return ""
    if not card.regions:
        return '<p class="caption">The heatmap is empty: nothing in this face speaks for the class.</p>'
    return bars("Where it looks", card.regions, "regions")


def comparison(result: Comparison) -> str:
    """The face that was compared, and a row an opinion: verdict, bars, a picture a method."""
    face = f'<figure><img class="compared" src="{data_url(result.face)}" alt="the face that is compared"></figure>'
    return face + "".join(_opinion(opinion) for opinion in result.opinions)


def _opinion(opinion: Opinion) -> str:
    title = html.escape(f"{opinion.checkpoint}: {opinion.verdict}")
    said = f'<h3 class="opinion-title">{title}</h3>{bars("", opinion.prediction.probabilities, "top3")}'
    return f'<section class="opinion"><div class="said">{said}</div>{"".join(map(_map, opinion.maps))}</section>'


def _map(one: Map) -> str:
    text = html.escape(one.text)
    if one.picture is None:
        return f'<p class="opinion-map caption">{text}</p>'
    name = f"{one.text.replace(': ', '-').replace(' ', '-')}.jpg"
    picture = f'<img src="{data_url(one.picture)}" alt="heatmap, {text}">'
    return f'<figure class="opinion-map">{picture}<figcaption class="caption">{text} {_save(name)}</figcaption></figure>'


def bars(title: str, shares: Mapping[str, float], name: str) -> str:
    """The largest shares as bars with their names and per cents.

    >>> bars("", {"happy": 0.5}, "top3").count("50%")
    2
    """
    largest = sorted(shares.items(), key=lambda item: -item[1])[:_BARS]
    head = f"<h4>{html.escape(title)}</h4>" if title else ""
    bar = '<span class="bar" style="width: {0:.0%}"></span>'
    rows = "".join(
        f"<li><span>{html.escape(label)}</span><span>{share:.0%}</span>{bar.format(share)}</li>" for label, share in largest
    )
    return f'<div class="bars {name}">{head}<ul>{rows}</ul></div>'


def _save(name: str) -> str:
    return f'<button type="button" class="save" data-name="{html.escape(name)}">save</button>'
