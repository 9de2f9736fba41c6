"""Starting weights: torchvision's ImageNet files, or a local file given by the user."""

import contextlib
import hashlib
import io
import pickle
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import URLError

import torch
from torch import nn
from torch.hub import get_dir, load_state_dict_from_url

from fer.errors import WeightsError
from fer.models.tensorfile import UnreadableTensorsError, is_state, read_tensors

if TYPE_CHECKING:
    from torchvision.models import WeightsEnum

State = Mapping[str, torch.Tensor]

#: A dead network is reported after this many seconds instead of never.
_TIMEOUT = 30.0


def imagenet_weights(name: str) -> State:
    """State of an architecture's first ImageNet weights, by torchvision's name of them; see :func:`download`."""
    from torchvision.models import get_weight

    return download(get_weight(f"{name}.IMAGENET1K_V1"))


def download(weights: "WeightsEnum") -> State:
    """State of pretrained weights, from torch's cache or the net, its hash checked.

    Raises:
        WeightsError: no network, no such file, or a wrong hash.
    """
    file = weights.url.rsplit("/", 1)[-1]
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_TIMEOUT)
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # torch announces the download where our data goes
            state: State = load_state_dict_from_url(weights.url, progress=False, check_hash=True, weights_only=True)
    except (URLError, OSError, RuntimeError, pickle.UnpicklingError) as error:
        cached = Path(get_dir()) / "checkpoints" / file
        if cached.exists():
            raise WeightsError(f"{cached}: the cached ImageNet weights are damaged; delete the file and try again") from error
        reason = getattr(error, "reason", None) or " ".join(str(error).split())
        raise WeightsError(
            f"cannot fetch ImageNet weights {file} ({reason}); fetch {weights.url} on a machine with network and "
            "pass --init FILE, or use --mode scratch"
        ) from error
    finally:
        socket.setdefaulttimeout(before)
    return state


def read_content(path: Path) -> Any:
    """Whatever a local file of tensors holds.

    Raises:
        WeightsError: not there, or no file of tensors.
    """
    try:
        return read_tensors(path.read_bytes())
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror}); check the path given to --init") from error
    except UnreadableTensorsError as error:
        raise WeightsError(f"{path}: {error}; give a state dict saved by torch.save") from error


def read_state(path: Path) -> State:
    """Tensors of a local file: a plain state dict, or one under ``state_dict`` as checkpoints have it.

    Raises:
        WeightsError: not there, or no file of tensors.
    """
    content = read_content(path)
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    if not is_state(state):
        raise WeightsError(f"{path}: holds no state dict of tensors; give one saved by torch.save")
    return dict(state or {})


def start_from(model: nn.Module, state: State, heads: Sequence[str], source: str, *, same_classes: bool = True) -> None:
    """Load the trunk, and the heads where they have the same shapes and stand for the same classes.

    Args:
        model: changed in place.
        state: the starting weights.
        heads: dotted names of the modules that give logits.
        source: where the weights come from, for messages.
        same_classes: whether the weights' classes are the model's, in the same order, as far as is known.

    Raises:
        WeightsError: the trunk's tensors are of another architecture, or a value is not finite.
    """
    own = model.state_dict()
    trunk = {name for name in own if not name.startswith(tuple(f"{head}." for head in heads))}
    fits = {name for name, value in state.items() if name in own and own[name].shape == value.shape}
    # torchvision before 0.4 saved no batch counters; they only matter for momentum=None
    missing = sorted(name for name in trunk - fits if not name.endswith("num_batches_tracked"))
    if missing:
        shown = ", ".join(_misfit(name, own[name], state.get(name)) for name in missing[:3])
        more = f", and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise WeightsError(
            f"{source}: weights of another architecture, {len(missing)} of {len(trunk)} tensors do not fit: "
            f"{shown}{more}; give weights of this one"
        )
    spoiled = next((name for name in sorted(fits) if not state[name].float().isfinite().all()), None)
    if spoiled:
        raise WeightsError(f"{source}: {spoiled} holds values that are not finite; give other weights")
    with_heads = same_classes and own.keys() - trunk <= fits
    kept = {name: state[name].float() for name in fits if name in trunk or with_heads}
    model.load_state_dict(kept, strict=False)


def _misfit(name: str, wanted: torch.Tensor, given: torch.Tensor | None) -> str:
    found = "is missing" if given is None else f"has shape {tuple(given.shape)}"
    return f"{name} {found}, {tuple(wanted.shape)} is needed"


def state_sha256(state: State) -> str:
    """Hex sha256 over names, types, shapes and bytes of all tensors, in name order."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
