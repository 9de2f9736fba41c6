"""What the face is expected to do in each emotion: prototypes of facial action units, and where these units move the skin.

Action units are those of the Facial Action Coding System (Ekman and Friesen 1978). The prototypes are those of EMFACS
(Friesen and Ekman 1983), of which Lucey et al. 2010 ("The Extended Cohn-Kanade Dataset (CK+)", CVPR workshops, table 1) ask
for the core: 12 for happy, 1+2 or 5 for surprise, 1+2+4 for fear, 1+4+15 or 11 for sad, 23 and 24 for angry, 9 or 10 for
disgust. Neutral moves nothing.
"""

from analysis.regions.face_template import REGIONS

#: Class → units of its prototype.
PROTOTYPES: dict[str, tuple[int, ...]] = {
    "angry": (4, 5, 7, 23),
    "disgust": (9, 15, 16),
    "fear": (1, 2, 4, 5, 20, 26),
    "happy": (6, 12),
    "neutral": (),
    "sad": (1, 4, 15),
    "surprise": (1, 2, 5, 26),
}

#: Unit → its name, and the region of the template in which it shows most.
ACTION_UNITS: dict[int, tuple[str, str]] = {
    1: ("inner brow raiser", "brows"),
    2: ("outer brow raiser", "brows"),
    4: ("brow lowerer", "brows"),
    5: ("upper lid raiser", "eyes"),
    6: ("cheek raiser", "cheeks"),
    7: ("lid tightener", "eyes"),
    9: ("nose wrinkler", "nose"),
    12: ("lip corner puller", "mouth"),
    15: ("lip corner depressor", "mouth"),
    16: ("lower lip depressor", "mouth"),
    20: ("lip stretcher", "mouth"),
    23: ("lip tightener", "mouth"),
    26: ("jaw drop", "mouth"),
}


def expected_regions(name: str) -> tuple[str, ...]:
    """Regions in which the prototype of a class shows, in the order of the template; empty for neutral.

    >>> expected_regions("happy")
    ('mouth', 'cheeks')
    """
    moved = {ACTION_UNITS[unit][1] for unit in PROTOTYPES[name]}
    return tuple(region for region in REGIONS if region in moved)
