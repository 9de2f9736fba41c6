"""Class folders, unpacked or zipped: Kaggle's ``msambare/fer2013`` and any ``train/ [validation/] test/`` tree."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from fer.data.archive import FileTree, Member, is_junk
from fer.data.faceset import OFFICIAL_SPLITS, Row, Skipped
from fer.emotions import EMOTIONS, canonical
from fer.errors import DataError, ImageError, UnknownNameError
from fer.images import decode_face, is_picture
from fer.types import FACE_SIZE, Progress

_SPLIT_FOLDERS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_PREFIX = re.compile(rf"^({'|'.join(OFFICIAL_SPLITS)})_\d+")
# Faces that somebody cut out are nearly square and seldom larger than this; photos of cameras are neither.
_SQUARE, _LARGE = 1.25, 512


def read_folders(tree: FileTree, progress: Progress | None = None) -> tuple[list[Row], list[Skipped], str]:
    """Decode every picture of a tree of class folders; also what was passed over, and a note on pictures that are no faces.

    Raises:
        DataError: no pictures, an unknown or empty class folder, a picture in no split or in two, a damaged picture.
    """
    pictures, skipped = _sort_out(tree)
    if not pictures:
        raise DataError(f"{tree.origin}: no pictures found; expected train/<class>/*.jpg and test/<class>/*.jpg")
    _refuse_empty_classes(tree, pictures)
    places = [_place(member.path, tree) for member in pictures]
    _refuse_moved(tree, pictures)
    rows, photos = [], []
    for done, (member, (split, label)) in enumerate(zip(pictures, places, strict=True), 1):
        try:
            pixels, (width, height) = decode_face(member.read(), f"{tree.origin}: {member.path}", FACE_SIZE)
        except ImageError as error:
            raise DataError(str(error)) from error
        rows.append(Row(pixels, label, split, str(member.path)))
        if max(width, height) > min(_LARGE, _SQUARE * min(width, height)):
            photos.append(f"{member.path}, {width}×{height}")
        if progress and (done % 512 == 0 or done == len(pictures)):
            progress(done, len(pictures))
    return rows, skipped, _photo_note(photos, len(pictures))


def _photo_note(photos: Sequence[str], count: int) -> str:
    """What to say of pictures that look like whole photos, since nothing searches a data set for faces; mostly nothing."""
    if not photos:
        return ""
    return (
        f"{len(photos):,} of {count:,} pictures (such as {photos[0]}) are not square or larger than a face cut out: each is "
        f"squashed whole to {FACE_SIZE}×{FACE_SIZE}; cut their faces out first, at the boxes of fer predict --out faces.csv"
    )


def _sort_out(tree: FileTree) -> tuple[list[Member], list[Skipped]]:
    pictures: list[Member] = []
    reasons: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for member in tree.members:
        if is_junk(member.path):
            reason = "hidden file or leftover of an operating system"
        elif not is_picture(member.path.name):
            reason = "not a picture by its name"
        else:
            pictures.append(member)
            continue
        reasons[reason] += 1
        examples.setdefault(reason, str(member.path))
    return pictures, [Skipped(reason, count, examples[reason]) for reason, count in reasons.items()]


def _place(path: PurePosixPath, tree: FileTree) -> tuple[str, int]:
    folders = [part.lower() for part in path.parts[:-1]]
    if not folders or folders[-1] in _SPLIT_FOLDERS:
        raise DataError(f"{tree.origin}: {path} lies in no class folder; expected train/<class>/{path.name}")
    try:
        label = EMOTIONS.index(canonical(path.parts[-2]))
    except UnknownNameError as error:
        raise DataError(f"{tree.origin}: folder {path.parent}: {error}; rename or remove the folder") from error
    split = _named_split(path) or _folder_split(path)
    if split:
        return split, label
    raise DataError(f"{tree.origin}: {path} belongs to no split; expected train/, validation/ or test/ above the class")


def _named_split(path: PurePosixPath) -> str | None:
    """What the challenge's name of a file says."""
    prefix = _PREFIX.match(path.name)
    return OFFICIAL_SPLITS[prefix[1]] if prefix else None


def _folder_split(path: PurePosixPath) -> str | None:
    """What the folder above the class says."""
    return _SPLIT_FOLDERS.get(path.parts[-3].lower()) if len(path.parts) > 2 else None


def _refuse_moved(tree: FileTree, pictures: Sequence[Member]) -> None:
    """A split that somebody made of the challenge's files is neither undone nor believed without a word."""
    moved = [member.path for member in pictures if _contradicted(member.path)]
    if moved:
        first = moved[0]
        raise DataError(
            f"{tree.origin}: {len(moved):,} of {len(pictures):,} pictures lie in another split than their names say, the first "
            f"is {first} (by its name of {_named_split(first)}); rename the files or move them back"
        )


def _contradicted(path: PurePosixPath) -> bool:
    """Kaggle's ``test/`` holds the challenge's validation pictures, too."""
    named, folder = _named_split(path), _folder_split(path)
    return None not in (named, folder) and named != folder and (folder, named) != ("test", "validation")


def _refuse_empty_classes(tree: FileTree, pictures: list[Member]) -> None:
    """A folder in a class's place without a single picture is a mistake, not a class without faces."""
    filled = {member.path.parent for member in pictures}
    folders = {*tree.empty_folders, *(member.path.parent for member in tree.members)}
    for folder in sorted(folders - filled):
        if len(folder.parts) > 1 and folder.parts[-2].lower() in _SPLIT_FOLDERS and not is_junk(folder):
            raise DataError(f"{tree.origin}: class folder {folder} is empty; put pictures into it or remove it")
