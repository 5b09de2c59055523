"""Build the network that an nnU-Net plan describes, from an exact list of classes.

Networks come from ``dynamic_network_architectures``, nnU-Net's own library of them; nnU-Net itself
is not needed. A plan names classes by dotted paths. nnU-Net imports whatever they lead to, which
lets a plan run code; here a name is looked up in a table, and nothing is imported because of it.
"""

from functools import cache

from torch import nn

from columna.errors import ModelError
from columna.models.content import shown
from columna.models.plans import Architecture

_UNETS = "dynamic_network_architectures.architectures.unet"
_OLDER_UNETS = "dynamic_network_architectures.architectures.residual_unet"


def _by_name(*classes: type[nn.Module]) -> dict[str, type[nn.Module]]:
    """Classes of torch by both paths that lead to them."""
    return {f"{home}.{c.__name__}": c for c in classes for home in ("torch.nn", c.__module__)}


PARTS = {
    "conv_op": _by_name(nn.Conv3d),
    "norm_op": _by_name(nn.InstanceNorm3d, nn.BatchNorm3d),
    "dropout_op": _by_name(nn.Dropout3d),
    "nonlin": _by_name(nn.LeakyReLU, nn.ReLU),
}
"""Argument of the network -> classes that it may name."""


def build_network(
    architecture: Architecture, channels: int, classes: int, *, deep_supervision: bool = False
) -> nn.Module:
    """Build a network with the random weights of torch.

    Parameters
    ----------
    architecture
        The block of that name in ``plans.json``.
    channels, classes
        Of input and output.
    deep_supervision
        Whether it answers at every resolution, finest first.

    Raises
    ------
    ModelError
        If a name is not in the list of classes, or the arguments are not those of the network.
    """
    network_class = _looked_up(_networks(), architecture.network_class_name, "network_class_name")
    arguments = architecture.arch_kwargs.model_dump(exclude_unset=True)
    for argument, known in PARTS.items():
        if arguments.get(argument) is not None:
            arguments[argument] = _looked_up(known, arguments[argument], argument)
    try:
        return network_class(
            input_channels=channels,
            num_classes=classes,
            deep_supervision=deep_supervision,
            **arguments,
        )
    except (TypeError, ValueError, AssertionError) as error:
        name = architecture.network_class_name
        raise ModelError(f"arch_kwargs does not fit {name}: {error}") from error


def _looked_up(known: dict[str, type[nn.Module]], name: str, argument: str) -> type[nn.Module]:
    if name not in known:
        raise ModelError(f"{argument} names {shown(name)}, which is no network part that is known")
    return known[name]


@cache
def _networks() -> dict[str, type[nn.Module]]:
    """Networks by every path that plans name them by."""
    try:
        from dynamic_network_architectures.architectures.unet import (
            PlainConvUNet,
            ResidualEncoderUNet,
        )
    except ImportError as error:
        raise ModelError(
            "phase 1 needs the package dynamic_network_architectures (a part of nnU-Net): "
            "pip install dynamic_network_architectures"
        ) from error
    return {
        f"{_UNETS}.PlainConvUNet": PlainConvUNet,
        f"{_UNETS}.ResidualEncoderUNet": ResidualEncoderUNet,
        f"{_OLDER_UNETS}.ResidualEncoderUNet": ResidualEncoderUNet,
    }
