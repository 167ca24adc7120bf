"""A model run for the bytes of its tensors alone: no weight is there, and no number computed.

Tensors of floating-point numbers are hollow: they have a shape, a precision and a device of the processor, and their
operations are those of torch's `meta` device, which give shapes. Whole numbers and truth values are computed, since
shapes follow from them (which tokens are a picture's, how pictures are cut). So the code of any model, of an engine or
of a trainer goes through as it is, forwards and backwards, and `Shadow` counts the storages that are alive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from harness.errors import ModelError
from harness.models.counted import Counted

_CPU, _META = torch.device("cpu"), torch.device("meta")
_ATEN = torch.ops.aten
T = TypeVar("T")

_PLACES = ("arange", "linspace", "scalar_tensor")
"""Of factories, those whose numbers others are computed from."""


class Hollow(torch.Tensor):
    """A tensor without numbers, which `Shadow` makes; `meta` is the tensor of the meta device that it stands for."""

    meta: torch.Tensor
    device = _CPU
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, meta: torch.Tensor) -> Hollow:
        hollow: Hollow = torch.Tensor._make_subclass(
            cls, meta, False, dispatch_device=True, device_for_backend_keys=_CPU
        )
        hollow.meta = meta
        return hollow

    @classmethod
    def __torch_dispatch__(cls, func: Any, *_: Any, **__: Any) -> Any:  # type: ignore[override]
        if func is torch.ops.prim.device.default:
            return _CPU
        raise ModelError(f"{func}: a tensor without numbers is asked for them")

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"Hollow({tuple(self.shape)}, {self.meta.dtype})"

    def tolist(self) -> Any:
        raise ModelError("a tensor without numbers is asked for them")

    numpy = tolist  # type: ignore[assignment]


class Shadow(Counted):  # type: ignore[no-untyped-call]
    """Within it, hollow tensors go through torch's operations, and their bytes are counted, those of its models
    included."""

    def __init__(self) -> None:
        super().__init__()
        self._results: dict[Any, Any] = {}

    def hollow(self, tensor: torch.Tensor) -> torch.Tensor:
        """A tensor of this shape without numbers, to be made outside; one of whole numbers is itself, or zeros where it
        has none."""
        if _floats(tensor):
            return self._wrapped(tensor.to(_META))
        return self._counted(torch.zeros(tensor.shape, dtype=tensor.dtype) if tensor.is_meta else tensor)

    def adopt(self, model: torch.nn.Module) -> None:
        """Make a model of the meta device one of hollow tensors; shared weights stay shared."""
        parameters: dict[int, Any] = {}
        for module in model.modules():
            for name, weights in module._parameters.items():
                if weights is not None and id(weights) not in parameters:
                    values = self.hollow(weights.detach())
                    with self:
                        parameters[id(weights)] = torch.nn.Parameter(values, requires_grad=weights.requires_grad)
                module._parameters[name] = None if weights is None else parameters[id(weights)]
            for name, buffer in module._buffers.items():
                module._buffers[name] = None if buffer is None else self.hollow(buffer)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing is compiled within it; to say so at each operation takes torch as long as the operation."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is torch.ops.prim.device.default:
            return _CPU
        kwargs = kwargs or {}
        tensors = list(_tensors((*args, *kwargs.values())))
        hollow = [tensor for tensor in tensors if type(tensor) is Hollow or isinstance(tensor, Hollow)]
        if hollow and func is _ATEN._local_scalar_dense.default:
            return 0.0
        if not hollow and (tensors or not _makes_floats(func, kwargs)):
            return _mapped(func(*args, **kwargs), torch.Tensor, self._counted)
        key = _key(func, args, kwargs) if len(hollow) == len(tensors) else None
        if key is not None and (shapes := self._results.get(key)) is not None:
            return _mapped(shapes, _Shape, self._again)
        given = {id(tensor.meta): tensor for tensor in hollow}
        indexed = func in _INDEXED

        def bare(tensor: torch.Tensor) -> torch.Tensor:
            if isinstance(tensor, Hollow):
                return tensor.meta
            # the indices that truth values stand for are counted, and a number goes with any device
            return tensor if tensor.ndim == 0 or (indexed and not _floats(tensor)) else tensor.to(_META)

        def outer(tensor: torch.Tensor) -> torch.Tensor:
            changed = given.get(id(tensor))  # in place
            return self.hollow(tensor) if changed is None else changed

        args = _mapped(args, torch.Tensor, bare)
        kwargs = {name: _mapped(value, torch.Tensor, bare) for name, value in kwargs.items()}
        if kwargs.get("device") is not None or not tensors:
            kwargs["device"] = _META
        results = func(*args, **kwargs)
        if key is not None and _stand_alone(results, hollow):
            self._results[key] = _mapped(results, torch.Tensor, _Shape.of)
        return _mapped(results, torch.Tensor, outer)

    def _again(self, shape: _Shape) -> Hollow:
        return self._wrapped(torch.empty_strided(shape.sizes, shape.strides, dtype=shape.dtype, device=_META))

    def _wrapped(self, inner: torch.Tensor) -> Hollow:
        self._count(inner)
        return Hollow(inner)

    def _counted(self, tensor: torch.Tensor) -> torch.Tensor:
        self._count(tensor)
        return tensor


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a tensor is without its numbers."""

    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: torch.dtype

    @classmethod
    def of(cls, tensor: torch.Tensor) -> _Shape:
        tensor = tensor.meta if isinstance(tensor, Hollow) else tensor
        return cls(tuple(tensor.shape), tensor.stride(), tensor.dtype)


def _key(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """What decides the shapes of an operation's results, where these are new tensors; None of any other."""
    if any(result.alias_info is not None for result in func._schema.returns):
        return None
    key = (func, _mapped((*args, *kwargs, *kwargs.values()), torch.Tensor, _Shape.of))
    try:
        hash(key)
    except TypeError:
        return None
    return key


def _stand_alone(results: Any, tensors: Sequence[Hollow]) -> bool:
    """Whether all results are numbers with storages of their own, as long as their shapes say."""
    made = list(_tensors((results,)))
    storages = {tensor.meta.untyped_storage()._cdata for tensor in tensors}
    return bool(made) and all(
        _floats(tensor)
        and tensor.untyped_storage()._cdata not in storages
        and tensor.untyped_storage().nbytes() == tensor.nbytes
        for tensor in made
    )


def _tensors(values: Iterable[Any]) -> Iterator[torch.Tensor]:
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


def _mapped(value: Any, kind: type[T], change: Callable[[T], Any]) -> Any:
    """A value with what is of a kind in it changed; lists become tuples."""
    if isinstance(value, kind):
        return change(value)
    return tuple(_mapped(each, kind, change) for each in value) if isinstance(value, list | tuple) else value


_INDEXED = (_ATEN.index.Tensor, _ATEN.index_put.default, _ATEN.index_put_.default, _ATEN._unsafe_index.Tensor)


def _floats(tensor: torch.Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()


def _makes_floats(func: Any, kwargs: dict[str, Any]) -> bool:
    dtype = kwargs.get("dtype") or torch.get_default_dtype()
    return bool(dtype.is_floating_point) and not func.__name__.startswith(_PLACES)
