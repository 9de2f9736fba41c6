"""The page as a folder of its own: a Hugging Face Space that needs neither torch nor this package installed."""

import platform
import shutil
from importlib import metadata
from pathlib import Path

import yaml

from fer.files import whole_folder
from fer.portable import Portable

_SOURCES = Path(__file__).resolve().parent.parent
#: What is copied of this program; recipes and schemas are read by training and reports only.
_PACKAGES = ("fer", "analysis", "apps")
_COPIED = ("*.py", "*.jpg", "page.css")

#: What the page imports where the model is an ONNX, pinned to what it was measured with.
REQUIREMENTS = ("matplotlib", "numpy", "onnxruntime", "opencv-python-headless", "pillow", "platformdirs")

_APP = '''"""The page of this Space: `python app.py`."""

import os
import sys
from pathlib import Path

# visitors come through the hub's own proxies, which say who they are: each has a budget of its own
os.environ.setdefault("FORWARDED_ALLOW_IPS", "10.0.0.0/8,172.16.0.0/12,127.0.0.1")

from apps.gradio_app import main

if __name__ == "__main__":
    model = Path(__file__).resolve().parent / {model!r}
    sys.exit(main(["--checkpoint", str(model), "--no-share", "--public", "--host", "0.0.0.0", *sys.argv[1:]]))
'''

_README = """---
{front}---

# {title}

A picture goes in; every face comes out with an estimated expression and its calibrated confidence{maps}.
The model is `{model}`, a {checkpoint} exported by `fer export`.

{figures}

A network estimates the expression a face shows, not what a person feels. Pictures are judged in this Space and not kept. Do
not use it to judge people: the European Union bans emotion inference at work and in education.

Locally: `pip install gradio=={gradio} -r requirements.txt`, then `python app.py`.
"""


def write_space(folder: Path, model: Path, exported: Portable) -> None:
    """Write app, README with its front matter, requirements, Debian packages, the model and the sources that it needs.

    Args:
        folder: new or empty.
        model: file of the exported model, an ``.onnx``.
        exported: the same, opened.

    Raises:
        OutputError: there is something in the folder already, or it cannot be written.
    """
    title = f"{exported.card.architecture}: expressions, explained"
    front = {
        "title": title,
        "emoji": "🙂",
        "colorFrom": "yellow",
        "colorTo": "indigo",
        "sdk": "gradio",
        "sdk_version": metadata.version("gradio"),
        "python_version": platform.python_version().rpartition(".")[0],
        "app_file": "app.py",
        "license": "mit",
        "short_description": "Facial expressions" if exported.lacks_maps else "Facial expressions with the reasons for them",
    }
    texts = {
        "app.py": _APP.format(model=model.name),
        "README.md": _README.format(
            front=yaml.safe_dump(front, allow_unicode=True, sort_keys=False),
            title=title,
            gradio=metadata.version("gradio"),
            model=model.name,
            checkpoint=exported.card.architecture,
            figures=_figures(exported),
            maps="" if exported.lacks_maps else ", beside a heatmap of where the network looked",
        ),
        "requirements.txt": "".join(f"{name}=={metadata.version(name)}\n" for name in REQUIREMENTS),
        # all that the wheels of OpenCV (headless) and ONNX Runtime load of the system, by ldd
        "packages.txt": "libstdc++6\nzlib1g\n",
    }
    with whole_folder(folder) as made:
        for name, text in texts.items():
            (made / name).write_text(text, encoding="utf-8")
        shutil.copy(model, made / model.name)
        for package in _PACKAGES:
            for pattern in _COPIED:
                for source in (_SOURCES / package).rglob(pattern):
                    target = made / source.relative_to(_SOURCES)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(source, target)


def _figures(exported: Portable) -> str:
    """The proof in words."""
    proof = exported.seal.proof
    if not proof.get("accuracy"):
        return "Its accuracy was not measured when it was exported."
    before, after = proof["accuracy"]
    return (
        f"On the {proof['n']:,} faces of its {proof['faces']} split it reaches {after:.2%} accuracy "
        f"({before:.2%} before it was exported)."
    )
