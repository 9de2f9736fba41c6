"""A pretended second device: what a GPU refuses is refused, on any machine.

The memory of tensors that are brought to ``cuda`` is marked. What is made of marked tensors is marked; marked and unmarked ones
do not go together (numbers and positions apart), and a marked one is no numpy array.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch._C import DisableTorchFunction
from torch.overrides import TorchFunctionMode

CUDA = torch.device("cuda", 0)
#: Functions that may meet tensors of two devices: what stands behind ``x[y]`` and ``x[y] = z``, and copies.
_MIXING = (torch.Tensor.__getitem__, torch.Tensor.__setitem__, torch.Tensor.copy_)


#: Marked memory by its address; kept, so that no other tensor gets the address.
_MEMORY: dict[int, torch.UntypedStorage] = {}


def there(tensor: torch.Tensor) -> bool:
    """Whether a tensor is marked."""
    with DisableTorchFunction():
        return tensor.untyped_storage().data_ptr() in _MEMORY


def _marked(tensor: torch.Tensor) -> torch.Tensor:
    with DisableTorchFunction():
        memory = tensor.untyped_storage()
    _MEMORY[memory.data_ptr()] = memory
    return tensor


def _tensors(values: Any) -> Iterator[torch.Tensor]:
    if isinstance(values, torch.Tensor):
        yield values
    elif isinstance(values, tuple | list):
        for value in values:
            yield from _tensors(value)
    elif isinstance(values, dict):
        yield from _tensors(list(values.values()))


def _device(values: tuple[Any, ...], options: dict[str, Any]) -> torch.device | None:
    named = [value for value in (*values, options.get("device")) if isinstance(value, torch.device | str)]
    return torch.device(named[0]) if named else None


class Generator(torch.Generator):
    """A generator that says it is on the device it was asked for."""

    place = torch.device("cpu")

    def __new__(cls, device: torch.device | str = "cpu") -> "Generator":
        made = super().__new__(cls, device="cpu")
        made.place = torch.device(device)
        return made

    @property
    def device(self) -> torch.device:
        return self.place

    def manual_seed(self, seed: int) -> "Generator":
        super().manual_seed(seed)
        return self


class Elsewhere(TorchFunctionMode):
    """Inside, a device ``cuda`` is there."""

    def __enter__(self) -> "Elsewhere":
        self._generator, torch.Generator = torch.Generator, Generator
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        torch.Generator = self._generator
        _MEMORY.clear()

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if function == torch.Tensor.device.__get__:
            return CUDA if there(args[0]) else torch.device("cpu")
        if function is torch.Tensor.numpy and there(args[0]):
            raise TypeError("can't convert cuda:0 device type tensor to numpy")
        if function in (torch.Tensor.to, torch.Tensor.cpu):
            return self._moved(function, args, kwargs)
        given = [tensor for tensor in _tensors((args, kwargs)) if tensor.numel()]
        marks = {there(tensor) for tensor in given if tensor.ndim}  # a number of the CPU goes with everything
        if len(marks) > 1 and function not in _MIXING:
            raise RuntimeError(f"{function}: expected all tensors to be on the same device")
        device = _device((), kwargs)
        if device is not None:
            kwargs = {**kwargs, "device": "cpu"}
        found = function(*args, **kwargs)
        marked = there(args[0]) if function in _MIXING else device == CUDA or (device is None and any(map(there, given)))
        if marked:
            for tensor in _tensors(found):
                _marked(tensor)
        return found

    def _moved(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor:
        device = torch.device("cpu") if function is torch.Tensor.cpu else _device(args[1:], kwargs)
        goes = there(args[0]) if device is None else device == CUDA
        kinds = [value for value in (*args[1:], kwargs.get("dtype")) if isinstance(value, torch.dtype)]
        was, found = there(args[0]), args[0].to(*kinds[:1])
        if goes == was and found is args[0]:
            return found
        found = found.clone() if found is args[0] else found
        return _marked(found) if goes else found


def brought(model: nn.Module) -> nn.Module:
    """The network with all its weights on the pretended device."""
    for tensor in (*model.parameters(), *model.buffers()):
        _marked(tensor)
    return model
