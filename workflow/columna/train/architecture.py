"""Build the network that an nnU-Net plan describes, without nnU-Net.

Networks come from ``dynamic_network_architectures``, nnU-Net's own library of them, so that a
machine that only trains needs neither ``nnunetv2`` nor what that needs.
"""

import pydoc
from typing import Any

from torch import nn

from columna.errors import ModelError


def build_from_plan(
    architecture: dict[str, Any], channels: int, classes: int, *, deep_supervision: bool
) -> nn.Module:
    """Build a network with random weights.

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
        If the library is not installed.
    """
    arguments = dict(architecture["arch_kwargs"])
    for name in architecture["_kw_requires_import"]:
        if arguments[name] is not None:
            arguments[name] = pydoc.locate(arguments[name])
    network_class = pydoc.locate(architecture["network_class_name"])
    if network_class is None:
        raise ModelError(
            "phase 1 needs the package dynamic_network_architectures (a part of nnU-Net): "
            "pip install dynamic_network_architectures"
        )
    network = network_class(
        input_channels=channels,
        num_classes=classes,
        deep_supervision=deep_supervision,
        **arguments,
    )
    network.apply(network.initialize)
    return network
