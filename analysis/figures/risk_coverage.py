"""The risk–coverage curve: what share of the answers is wrong, by how many faces get one."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from analysis.abstention import Abstention, RiskCoverage

_CURVE, _OTHERS, _POINT = "#3f90da", "#717581", "#e42536"


def draw(ax: Axes, curve: RiskCoverage, abstention: Abstention | None = None) -> Axes:
    """The curve, that of a perfect order, and, where a threshold is given, its point on the half it was not chosen on."""
    coverage = [point.coverage for point in curve.points]
    ax.plot(coverage, [point.risk for point in curve.points], color=_CURVE, label=f"by confidence: AURC {curve.aurc:.3f}")
    best = [max(0.0, share - (1 - curve.risk)) / share for share in coverage]
    ax.plot(coverage, best, color=_OTHERS, linestyle="--", label=f"mistakes last: AURC {curve.best_aurc:.3f}")
    ax.axhline(curve.risk, color=_OTHERS, linestyle=":", label=f"by chance: {curve.risk:.3f}")
    _mark(ax, abstention)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set_xlim(0, 1)
    ax.set_ylim(bottom=0, top=max(0.05, 1.15 * max(curve.risk, *(point.risk for point in curve.points))))
    ax.set_xlabel("coverage: share of the faces that get an answer")
    ax.set_ylabel("risk: share of the answers that is wrong")
    ax.set_title(f"risk against coverage, n = {curve.n:,}", fontsize=10)
    ax.grid(alpha=0.25)
    ax.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.14), frameon=False)
    return ax


def _mark(ax: Axes, abstention: Abstention | None) -> None:
    kept = abstention.held_out if abstention else None
    if abstention is None or kept is None or kept.accuracy is None or kept.interval is None:
        return
    ax.plot([kept.coverage] * 2, [1 - share for share in kept.interval], color=_POINT, linewidth=1.2)
    verdict = f"{kept.accuracy:.1%} right at {kept.coverage:.0%} coverage (held-out half, n = {kept.of:,})"
    label = f"unsure below {abstention.threshold:.3f}: {verdict}"
    ax.plot([kept.coverage], [1 - kept.accuracy], "o", color=_POINT, label=label)


def figure(curve: RiskCoverage, abstention: Abstention | None = None) -> Figure:
    """:func:`draw` on a figure of its own."""
    fig = Figure(figsize=(6.5, 5.2), layout="constrained")
    draw(fig.subplots(), curve, abstention)
    return fig
