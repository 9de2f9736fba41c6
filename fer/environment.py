"""The machine and the packages: what runs here, how fast, and what is wrong."""

import ctypes
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

#: Packages whose version can change a figure, and those that another distribution brings as well.
PACKAGES = ("ferscope", "torch", "torchvision", "lightning-fabric", "numpy", "pillow", "scikit-learn", "opencv-python-headless")

_ALSO_IN = {"lightning-fabric": "lightning"}


def versions(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Python's and the packages' versions; ``"missing"`` where one is not installed."""
    found = {"python": platform.python_version()}
    for name in packages:
        found[name] = _version(name) or _version(_ALSO_IN.get(name, name)) or "missing"
    return found


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def bf16_pays(device: str | None = None) -> bool:
    """True where a device multiplies bfloat16 natively: ``cpu``, ``cuda``, or None for the one in use."""
    import torch

    if (device or best_device()) == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    native = getattr(torch.cpu, "_is_avx512_bf16_supported", None)  # the only test torch has; private as of 2.15
    return bool(native and native())


def best_device() -> str:
    """``"cuda"`` where a GPU can be used, else ``"cpu"``."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def device_name(device: str | None = None) -> str:
    """The name of the GPU, or of the processor with the threads torch uses, of ``cuda`` or ``cpu``; None for the one in use."""
    import torch

    if (device or best_device()) == "cuda":
        return str(torch.cuda.get_device_name())
    return f"CPU {_processor()}, {torch.get_num_threads()} threads"


def keep_freed_memory() -> bool:
    """Let this process hold on to memory it has freed, where the C library can (glibc); True where it does.

    Every training step allocates the same large tensors again. Handed back to the system in between, each of their
    pages has to be mapped and cleared anew: to enlarge a batch to 224 pixels took three times as long.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    options = ((_MALLOC_TRIM_THRESHOLD, 2**31 - 1), (_MALLOC_TOP_PAD, 64 * 2**20), (_MALLOC_MMAP_MAX, 0))
    return all([mallopt(option, value) == 1 for option, value in options])


# malloc.h of glibc
_MALLOC_TRIM_THRESHOLD, _MALLOC_TOP_PAD, _MALLOC_MMAP_MAX = -1, -2, -4


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def bind_threads() -> bool:
    """Ask OpenMP to keep each of its threads on a core of its own, before torch is imported; True where that was done.

    Unbound, the two threads of a two-core machine at times share one core for seconds, at half the speed, and two
    trainings at once slow one another more than twofold (docs/adr/0010). Left alone: processes that
    are to use a part of the cores, since all of them would take the first ones, and machines with a GPU.
    """
    chosen = {"OMP_NUM_THREADS", "OMP_PROC_BIND", "GOMP_CPU_AFFINITY", "KMP_AFFINITY"} & os.environ.keys()
    has_gpu = any(Path(device).exists() for device in ("/dev/nvidiactl", "/dev/kfd"))
    if chosen or has_gpu or "torch" in sys.modules or not hasattr(os, "sched_getaffinity"):
        return False
    if cores() < (os.cpu_count() or 1):
        return False
    os.environ["OMP_PROC_BIND"] = "true"
    return True


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


@dataclass(frozen=True)
class Problem:
    """Something wrong with the environment, and the cure."""

    what: str
    cure: str


def problems() -> list[Problem]:
    """What would make commands fail or mislead here."""
    checks = (_shadow(), _other_project(), _cascades(), _opencv_pair(), *_missing())
    return [problem for problem in checks if problem]


def _missing() -> list[Problem | None]:
    absent = [name for name, version in versions().items() if version == "missing"]
    return [Problem(f"package {name} is not installed", "run make demo, or pip install ferscope") for name in absent]


_APART = "pip uninstall fer, then install this one anew, or use a fresh environment"


def _shadow() -> Problem | None:
    here = Path(__file__).resolve().parent
    shadows = [Path(entry) / "fer" for entry in sys.path if (Path(entry) / "fer" / "__init__.py").is_file()]
    others = sorted({str(path.resolve()) for path in shadows} - {str(here)})
    return Problem(f"another package also imports as fer: {others[0]}", _APART) if others else None


def _other_project() -> Problem | None:
    """Installed as a wheel, it has put its files among ours, where they are nobody's shadow."""
    foreign = next(iter(metadata.distributions(name="fer")), None)
    return Problem(f"fer {foreign.version} of another project is installed, too", _APART) if foreign else None


def _opencv_pair() -> Problem | None:
    found = versions(("opencv-python", "opencv-python-headless"))
    full, headless = found["opencv-python"], found["opencv-python-headless"]
    if full == headless or "missing" in (full, headless):
        return None
    return Problem(
        f"opencv-python {full} and opencv-python-headless {headless} overwrite one another",
        f"pip install opencv-python=={headless} opencv-python-headless=={headless}",
    )


def cascade_file() -> Path | None:
    """OpenCV's Haar cascade for frontal faces; None where this OpenCV has none (version 5 dropped them)."""
    import cv2

    data = getattr(cv2, "data", None)
    path = Path(data.haarcascades) / "haarcascade_frontalface_alt2.xml" if data else None
    return path if path and path.is_file() else None


#: How to get an OpenCV that has the cascades.
CASCADE_CURE = "pip install 'opencv-python>=4.12,<5' 'opencv-python-headless>=4.12,<5'"


def _cascades() -> Problem | None:
    try:
        missing = cascade_file() is None
    except ImportError as error:
        return Problem(f"OpenCV cannot be used ({error})", CASCADE_CURE)
    return Problem("OpenCV has no Haar cascades (version 5 dropped them)", CASCADE_CURE) if missing else None
