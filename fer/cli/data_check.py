"""``fer data check`` and ``fer data clean``: what is wrong with a data set, and the data set without it."""

from __future__ import annotations

import json as encoder
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from fer.cli import console, options

if TYPE_CHECKING:
    from fer.data import Corpus
    from fer.data.report import Report

Source = Annotated[Optional[Path], typer.Argument(help="Zip, csv or folder. [default: $FER_DATA, then data/]")]


def check(
    path: Source = None,
    out: Annotated[
        Optional[Path],
        typer.Option(help="New folder for clean.json (the index), findings.csv, report.json and contact sheets."),
    ] = None,
    also: Annotated[
        Optional[str], typer.Option(help="The index leaves these out, too: near-copy,dark,blurred,non-face.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Look for copies, near duplicates, leaks between splits, conflicting labels, blank, dark, blurred and odd images."""
    from fer.data import load
    from fer.data.check import check as look
    from fer.data.report import refuse_unknown
    from fer.errors import ConfigError
    from fer.files import check_folder, refuse_used

    kinds = [kind.strip() for kind in (also or "").split(",") if kind.strip()]
    refuse_unknown(kinds)
    if kinds and not out:
        raise ConfigError("--also says what the index of --out leaves out; name a folder with --out")
    if out:
        refuse_used(out)
        check_folder(out)
    with console.progress("reading faces") as report:
        corpus = load(path, report)
    if out:
        corpus.refuse_inside(out)
    with console.progress("comparing faces") as report:
        found = look(corpus, report)
    if out:
        with console.cleaned_up():
            _write(found, corpus, out, kinds)
    for note in found.notes:
        console.say(note)
    if json:
        console.put_json(found.to_dict())
    else:
        _show(found)


def clean(
    out: Annotated[Path, typer.Option(help="New folder for the cleaned data set.")],
    index: Annotated[Path, typer.Option(help="clean.json of fer data check.")],
    path: Source = None,
) -> None:
    """Write the faces that a clean index leaves in as PNG files in class folders, and manifest.csv with what went and why."""
    from fer.data import load
    from fer.data.clean import read_index
    from fer.data.export import write_clean
    from fer.files import check_folder, refuse_used

    refuse_used(out)
    check_folder(out)
    chosen = read_index(index)
    with console.progress("reading faces") as report:
        corpus = load(path, report)
    with console.cleaned_up(), console.progress("writing faces") as report:
        kept = write_clean(corpus, chosen, out, report)
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in chosen.reasons.items()) or "none"
    console.say(f"{kept:,} images kept, {len(chosen.left_out):,} left out ({reasons})")
    console.put(str(out))


def _write(report: Report, corpus: Corpus, out: Path, also: list[str]) -> None:
    from fer.files import ESCAPED, whole_folder, write_whole

    with whole_folder(out) as folder:
        report.index(also).write(folder / "clean.json")
        write_whole(folder / "findings.csv", report.to_csv().encode(errors=ESCAPED))
        write_whole(folder / "report.json", (encoder.dumps(report.to_dict(), indent=2) + "\n").encode())
        _draw(report, corpus, folder)
    console.say(f"index, findings and contact sheets lie in {out}")


def _draw(report: Report, corpus: Corpus, folder: Path) -> None:
    try:
        from analysis.findings import write_sheets
    except ImportError as error:
        console.say(f"no contact sheets: {error.name} is not installed")
        return
    write_sheets(report, corpus, folder)


def _show(report: Report) -> None:
    """The report as tables and sentences."""
    from fer.data.report import KINDS

    splits = console.make_table("", *report.splits, title=report.origin)
    labels = list(dict.fromkeys(label for figures in report.splits.values() for label in figures.counts))
    for label in labels:
        shares = ((f.counts.get(label, 0), f.n) for f in report.splits.values())
        splits.add_row(label, *(f"{count:,} ({console.percent(count / n)})" for count, n in shares))
    figures = report.splits.values()
    splits.add_section()
    splits.add_row("images", *(f"{f.n:,}" for f in figures))
    splits.add_row("largest / smallest class", *("-" if f.imbalance is None else f"{f.imbalance:.1f}" for f in figures))
    splits.add_row("brightness, contrast", *(f"{f.brightness:.1f}, {f.contrast:.1f}" for f in figures))
    splits.add_row("sharpness", *(f"{f.sharpness:.3f}" for f in figures))
    console.put_table(splits)
    found = console.make_table("found", *report.splits, "what it means")
    for kind, counts in report.kinds.items():
        found.add_row(kind, *(f"{count:,}" for count in counts.values()), KINDS[kind])
    console.put_table(found)
    _say_copies(report)


def _say_copies(report: Report) -> None:
    exact, more, near = report.exact, report.mirrored.surplus - report.exact.surplus, report.near
    console.put(
        f"exact copies: {exact.surplus:,} surplus images in {exact.groups:,} groups, {exact.conflicting_groups:,} groups with "
        f"conflicting labels; mirror images: {more:,} more"
    )
    console.put(
        f"near duplicates (correlation of {near.threshold:g} or more after alignment): {near.pairs:,} pairs of photos, "
        f"{near.mirrored_pairs:,} of them mirrored, {near.conflicting_pairs:,} with conflicting labels"
    )
    for split, leak in report.leaks.items():
        console.put(
            f"leak: {leak.exact:,} of {leak.n:,} {split} images have an exact twin in an earlier split "
            f"({leak.exact_or_mirrored:,} with mirrored ones), {leak.near:,} others a near twin; "
            f"{leak.conflicting:,} of all these have another label there"
        )
    for split in report.blurred_splits:
        console.put(f"the {split} split is blurred: its faces are much less sharp than those of another split")
