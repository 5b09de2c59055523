"""Weights of checkpoints: under the names of the network, in its shapes, finite, in memory."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from columna.errors import ModelError
from columna.models.content import listed, shown

_COMPILED = "_orig_mod"
"""What ``torch.compile`` puts before the names inside of what it has compiled."""
_PARALLEL = "module"
"""What wrappers for several GPUs put before all names."""
_LIGHTNING = "network"
"""Where Lightning modules of SPINEPS keep the network, beside buffers of losses and metrics."""


def plain_weights(state: Any) -> dict[str, Tensor]:
    """Take the weights of a network from a state dict, under the names that it gives them.

    Raises
    ------
    ModelError
        If `state` holds something else than weights, or two under one name.
    """
    if not isinstance(state, Mapping) or not state:
        raise ModelError("holds no weights")
    odd = [shown(key) for key, value in state.items() if not _is_plain(key, value)]
    if odd:
        raise ModelError(f"holds something else than ordinary tensors: {listed(odd)}")
    parts = {key: _unwrapped(key.split(".")) for key in state}
    inside = {key: _unwrapped(p[1:]) for key, p in parts.items() if p[:1] == [_LIGHTNING]}
    named: dict[str, Tensor] = {}
    for key, path in (inside or parts).items():
        name = ".".join(path)
        if name in named:
            raise ModelError(f"holds {shown(name)} more than once, under different prefixes")
        named[name] = state[key]
    return named


def fitting_weights(network: nn.Module, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copy `weights` to memory if they are those of `network`, which may be on the meta device.

    Nothing is copied before names and shapes agree, so that a file cannot ask for more memory
    than it has itself.

    Raises
    ------
    ModelError
        If tensors are missing, left over, of another shape, or hold NaN or infinite values.
    """
    wanted = network.state_dict()
    problems = {
        "missing": [name for name in wanted if name not in weights],
        "left over": [name for name in weights if name not in wanted],
        "of another shape or type": [
            name
            for name, tensor in weights.items()
            if name in wanted and not _is_alike(tensor, wanted[name])
        ],
    }
    told = [f"{len(names)} {what} ({listed(names)})" for what, names in problems.items() if names]
    if told:
        raise ModelError(f"the tensors do not fit the network: {'; '.join(told)}")
    if _held(weights) < sum(parameter.numel() for parameter in network.parameters()):
        raise ModelError("the tensors share memory, so that the file holds less than the network")
    copies = _copied(weights)
    broken = [name for name, tensor in copies.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise ModelError(
            f"{len(broken)} tensors hold NaN or infinite values ({listed(broken)}); the training "
            "has failed or the file is damaged"
        )
    return copies


def _is_plain(key: object, value: object) -> bool:
    """Whether an entry of a state dict is a name and an ordinary tensor on the CPU."""
    return (
        isinstance(key, str)
        and isinstance(value, Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and not (value.is_quantized or value.is_complex())
    )


def _unwrapped(parts: list[str]) -> list[str]:
    """The parts of a name without those that wrappers add."""
    parts = [part for part in parts if part != _COMPILED]
    while parts[:1] == [_PARALLEL]:
        parts = parts[1:]
    return parts


def _is_alike(tensor: Tensor, wanted: Tensor) -> bool:
    same_kind = tensor.is_floating_point() == wanted.is_floating_point()
    return same_kind and tensor.shape == wanted.shape


def _held(weights: Mapping[str, Tensor]) -> int:
    """How many values the memory behind all tensors holds; many may be views of the same."""
    storages = {
        tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()
        // tensor.element_size()
        for tensor in weights.values()
    }
    return sum(storages.values())


def _copied(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies in memory; what is one tensor under several names stays one."""
    copies: dict[Any, Tensor] = {}
    copied = {}
    for name, tensor in weights.items():
        place = (tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype)
        if place not in copies:
            copies[place] = tensor.detach().clone()
        copied[name] = copies[place]
    return copied
