"""What the card of a run says before anything is learnt, and whether a stopped run has learnt from the same."""

from pathlib import Path
from typing import Any

from fer.card import Card
from fer.data import Corpus, FaceSet
from fer.environment import device_name, versions
from fer.errors import ConfigError
from fer.training.fit import Job


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
            {"name": one.name, "weights_sha256": one.card.weights_sha256, "marks": list(one.card.marks)}
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


def _teachers_of(card: Card) -> list[str]:
    """Hashes of the networks that a run has learnt from."""
    return [one["weights_sha256"] for one in card.data.get("teachers", ())]


def check_lessons(kept: Card, own: Card, folder: Path) -> None:
    """ConfigError where files behind the same settings say other things than when the run in ``folder`` was stopped.

    Class weights that are counted from the faces may change with these.
    """
    counted = own.config["loss"]["class_weights"] == "balanced" and kept.data.get("fingerprint") != own.data["fingerprint"]
    weights = () if counted else (("the class weights", lambda card: card.class_weights),)
    for what, of in (("its teachers", _teachers_of), *weights):
        if of(kept) != of(own):
            raise ConfigError(f"{what} have changed since {folder} was stopped; put back the old, or start a new run")
