"""Where Fabric comes from, and what comes along."""

import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.conftest import ROOT

#: All of Fabric under the name that it has in ``lightning``, and nothing under its own.
ONLY_LIGHTNING = """
import sys, types
import lightning_fabric.plugins.environments.lightning
import lightning_fabric.plugins.environments.slurm
import lightning_fabric.plugins.environments.torchelastic
own = lightning_fabric.Fabric
for name in [name for name in sys.modules if name.split(".")[0] == "lightning_fabric"]:
    sys.modules[name.replace("lightning_fabric", "lightning.fabric", 1)] = sys.modules[name]
    sys.modules[name] = None
sys.modules["lightning"] = types.ModuleType("lightning")
from fer.training import fabric
assert fabric.Fabric is own
"""


def ended(program):
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_machine_with_all_of_lightning_trains_by_its_fabric():
    done = ended(ONLY_LIGHTNING)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(find_spec("torchmetrics") is not None, reason="Fabric reads torchmetrics where it is installed")
def test_training_is_imported_without_what_it_does_not_need():
    heavy = ("torchvision", "sklearn", "scipy", "pandas", "matplotlib", "cv2", "pytorch_grad_cam", "gradio")
    found = f"[name for name in {heavy} if name in sys.modules]"
    done = ended(f"import sys, fer.training.run\nsys.exit(', '.join({found}) or 0)")
    assert (done.returncode, done.stderr.strip()) == (0, "")
