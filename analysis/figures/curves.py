"""Training curves: loss and accuracy over the epochs."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fer.card import Card
from fer.training.history import History


def draw(ax: Axes, history: History, figure_name: str, best_epoch: int) -> Axes:
    """Train and validation curve of ``"loss"`` or ``"accuracy"``, the best epoch (from 1) marked."""
    epochs = [e.epoch for e in history]
    for split, colour in (("train", "#717581"), ("validation", "#3f90da")):
        # the loss that is minimised has smoothed labels, teachers and class weights in it; that of validation has not
        label = (
            split
            if split == "validation"
            else "train (augmented, as minimised)"
            if figure_name == "loss"
            else "train (augmented)"
        )
        ax.plot(epochs, [getattr(e, f"{split}_{figure_name}") for e in history], color=colour, label=label)
    best = history.epochs[best_epoch - 1]
    ax.axvline(best.epoch, color="#e42536", linewidth=0.8, linestyle=":")
    ax.plot([best.epoch], [getattr(best, f"validation_{figure_name}")], "o", color="#e42536", label=f"best: epoch {best.epoch}")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("epoch")
    ax.set_ylabel(figure_name)
    ax.grid(alpha=0.25)
    ax.legend()
    return ax


def figure(history: History, card: Card) -> Figure:
    """Loss and accuracy side by side; the title has what the card's weights reach, with settled norms where it has them."""
    fig = Figure(figsize=(11, 4))
    left, right = fig.subplots(1, 2)
    draw(left, history, "loss", card.best_epoch)
    draw(right, history, "accuracy", card.best_epoch)
    right.set_title(f"validation {card.validation_accuracy:.2%}")
    return fig
