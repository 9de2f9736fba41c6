"""Which classes mingle: the confusion of the neighbours' votes, beside the shares of right answers."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from analysis.figures import confusion
from analysis.learnt.separation import Separation

_NETWORK, _NEIGHBOURS, _CHANCE = "#3f90da", "#92bde7", "#717581"


def draw(ax: Axes, separation: Separation) -> Axes:
    """Shares of every label's row, by the class that most of the neighbours have."""
    share = separation.votes["features"].accuracy
    rows = {"confusion_matrix": separation.confusion, "per_class": separation.classes, "accuracy": share, "n": separation.n}
    confusion.draw(ax, rows)
    ax.set_xlabel(f"most frequent among {separation.k} neighbours in the features")
    ax.set_title(f"neighbours' votes: {share:.2%} right, n = {separation.n:,}", fontsize=10)
    return ax


def draw_shares(ax: Axes, separation: Separation) -> Axes:
    """Bars of right answers with 95 % intervals: the network's, and the neighbours' in each space."""
    shares = {"network": separation.model, **{f"neighbours,\n{space}": share for space, share in separation.votes.items()}}
    for place, share in enumerate(shares.values()):
        ax.bar(place, share.accuracy, color=_NEIGHBOURS if place else _NETWORK, width=0.7)
        ax.plot([place, place], share.ci95, color="black", linewidth=1.2)
        top = (place, share.ci95[1])
        ax.annotate(f"{share.accuracy:.1%}", top, xytext=(0, 3), textcoords="offset points", ha="center", fontsize=8)
    label = f"most frequent class: {separation.most_frequent:.1%}"
    ax.axhline(separation.most_frequent, color=_CHANCE, linestyle="--", linewidth=1.2, label=label)
    ax.set_xticks(range(len(shares)), list(shares), fontsize=8)
    ax.yaxis.set_major_formatter(PercentFormatter(1, 0))
    ax.set_ylim(0, 1.25 * max(share.ci95[1] for share in shares.values()))
    ax.set_ylabel("right answers")
    ax.set_title(f"right answers (95 %), n = {separation.n:,}", fontsize=10)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(fontsize=8, loc="upper right", frameon=False)
    return ax


def figure(separation: Separation, title: str) -> Figure:
    """Both side by side."""
    fig = Figure(figsize=(12, 5.4), layout="constrained")
    left, right = fig.subplots(1, 2, width_ratios=[1.25, 1])
    draw(left, separation)
    draw_shares(right, separation)
    fig.suptitle(title, fontsize=11)
    return fig
