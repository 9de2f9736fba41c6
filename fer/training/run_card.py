"""What the card of a run says before anything is learnt, and whether a stopped run has learnt from the same."""

from pathlib import Path
from typing import Any

from fer.card import Card
from fer.data import Corpus, FaceSet
from fer.environment import device_name, versions
from fer.errors import ConfigError
from fer.training.fit import Job

# what a teacher's answers follow from, beside the faces
_LESSONS = ("weights_sha256", "temperature")


def make_card(job: Job, corpus: Corpus, train_faces: FaceSet, validation: FaceSet, labels_note: str) -> Card:
    """The card of a run's checkpoints, but for their figures."""
    plan, teachers, device = job.plan, job.objective.teachers, job.fabric.device.type
    splits = {s.split: {"n": len(s), "fingerprint": s.fingerprint} for s in (train_faces, validation)}
    data: dict[str, Any] = {"origin": corpus.origin.name, "fingerprint": corpus.fingerprint, "splits": splits}
    if labels_note:
        data["labels"] = labels_note
    if corpus.clean_note:
        data["clean"] = corpus.clean_note
    data |= plan.start.about
    if teachers:
        data["teachers"] = [
            {"name": one.name, "marks": list(one.card.marks)} | {fact: getattr(one.card, fact) for fact in _LESSONS}
            for one in teachers.checkpoints
        ]
    return Card(
        architecture=plan.config.model,
        variant=plan.variant,
        classes=plan.config.classes,
        preprocess=plan.preprocess,
        config=plan.config.to_dict(),
        seed=plan.config.seed,
        class_weights=plan.class_weights,
        data=data,
        versions=versions(),
        hardware={"device": device_name(device), "precision": plan.format_on(device).precision},
        members=plan.members,
    )


def _taught_alike(kept: Card, own: Card) -> bool:
    """Whether two runs have learnt from the same answers; what an older state does not tell of a teacher counts as equal."""
    old, new = (card.data.get("teachers", ()) for card in (kept, own))
    return len(old) == len(new) and all(
        before.get(fact, now[fact]) == now[fact] for before, now in zip(old, new, strict=True) for fact in _LESSONS
    )


def check_lessons(kept: Card, own: Card, folder: Path) -> None:
    """ConfigError where files behind the same settings say other things than when the run in ``folder`` was stopped.

    Class weights that are counted from the faces may change with these.
    """
    counted = own.config["loss"]["class_weights"] == "balanced" and kept.data.get("fingerprint") != own.data["fingerprint"]
    alike = {"its teachers": _taught_alike(kept, own), "the class weights": counted or kept.class_weights == own.class_weights}
    for what, is_alike in alike.items():
        if not is_alike:
            raise ConfigError(f"{what} have changed since {folder} was stopped; put back the old, or start a new run")
