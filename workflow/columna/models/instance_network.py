"""The phase-2 network: a residual U-Net that finds a vertebra and its two neighbours.

Topology and state-dict keys are those of SPINEPS (docs/method.md#the-instance-checkpoint), so that
released checkpoints load unchanged. Width, input channels and classes are read from the tensors.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from columna.errors import ModelError
from columna.models.checkpoint import load_checkpoint
from columna.models.device import choose_compute, choose_device
from columna.models.folder import ModelFolder
from columna.models.loaded import LoadedModel
from columna.models.openvino import CompiledNetwork, suits
from columna.models.registry import check_recorded
from columna.models.weights import fitting_weights, plain_weights

CODES = 9
"""Largest code of the input's encoding; networks with one channel see code / 9."""
_GROUPS = 8
_MAX_WIDTH, _MAX_CHANNELS = 64, 64
"""Released networks have 16 and 11 at most."""
_PREFIX = "network."


class ConvBlock(nn.Module):
    """3x3x3 convolution, group normalisation, leaky ReLU."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.proj = nn.Conv3d(channels_in, channels_out, 3, padding=1)
        self.norm = nn.GroupNorm(_GROUPS, channels_out)
        self.act = nn.LeakyReLU(0.01, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels_in, ...) -> (N, channels_out, ...)."""
        return self.act(self.norm(self.proj(x)))


class ResidualBlock(nn.Module):
    """Two convolution blocks beside a shortcut."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.block1 = ConvBlock(channels_in, channels_out)
        self.block2 = ConvBlock(channels_out, channels_out)
        same = channels_in == channels_out
        self.res_conv = nn.Identity() if same else nn.Conv3d(channels_in, channels_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels_in, ...) -> (N, channels_out, ...)."""
        return self.block2(self.block1(x)) + self.res_conv(x)


def levels_of(half: nn.ModuleList) -> Iterator[tuple[ResidualBlock, ResidualBlock, nn.Module]]:
    """Both blocks of every level of one half of the network, and what changes the size."""
    for level in half:
        first, second, resize = cast("Iterable[Any]", level)
        yield first, second, resize


class InstanceUNet(nn.Module):
    """Four-level residual U-Net whose decoder averages with the skips.

    Parameters
    ----------
    channels
        Input channels: one-hot semantic classes.
    width
        Feature maps of the first level (d); the levels have d, 2d, 4d and 8d.
    classes
        Output logits: background, the vertebra, the one above, the one below.

    Notes
    -----
    Every spatial size must be divisible by 8.
    """

    def __init__(self, channels: int = 10, width: int = 16, classes: int = 4) -> None:
        super().__init__()
        widths = [width, width, 2 * width, 4 * width, 8 * width]
        pairs = list(pairwise(widths))
        deepest = len(pairs) - 1
        self.channels, self.width, self.classes = channels, width, classes
        self.init_conv = nn.Conv3d(channels, width, 7, padding=3)
        self.downs = nn.ModuleList(
            nn.ModuleList(
                [
                    ResidualBlock(i, o),
                    ResidualBlock(o, o),
                    nn.Conv3d(o, o, 4, stride=2, padding=1) if n < deepest else nn.Identity(),
                ]
            )
            for n, (i, o) in enumerate(pairs)
        )
        self.mid_block1 = ResidualBlock(widths[-1], widths[-1])
        self.mid_block2 = ResidualBlock(widths[-1], widths[-1])
        self.ups = nn.ModuleList(
            nn.ModuleList(
                [
                    ResidualBlock(o, i),
                    ResidualBlock(i, i),
                    nn.ConvTranspose3d(i, i, 4, stride=2, padding=1)
                    if n < deepest
                    else nn.Identity(),
                ]
            )
            for n, (i, o) in enumerate(reversed(pairs))
        )
        self.final_res_block = ResidualBlock(2 * width, width)
        self.final_conv = nn.Conv3d(width, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """One-hot windows (N, channels, P, I, R) -> logits (N, classes, P, I, R)."""
        x = self.init_conv(x)
        first = x
        skips = []
        for block1, block2, shrink in levels_of(self.downs):
            x = block2(block1(x))
            skips.append(x)
            x = shrink(x)
        x = self.mid_block2(self.mid_block1(x))
        for block1, block2, grow in levels_of(self.ups):
            x = grow(block2(block1(0.5 * (x + skips.pop()))))
        return self.final_conv(self.final_res_block(torch.cat((x, first), dim=1)))


class OneHot(nn.Module):
    """A network that is given codes of structures in place of one channel for each."""

    numbers: Tensor

    def __init__(self, network: InstanceUNet) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("numbers", torch.arange(network.channels, dtype=torch.uint8))

    def forward(self, codes: Tensor) -> Tensor:
        """uint8 codes (N, P, I, R) -> logits (N, classes, P, I, R); unknown codes are 0."""
        if self.network.channels == 1:
            return self.network(codes[:, None].float() / CODES)
        known = torch.where(codes < self.network.channels, codes, torch.zeros_like(codes))
        return self.network((known[:, None] == self.numbers.view(1, -1, 1, 1, 1)).float())


def network_from_state(state: Mapping[str, Tensor]) -> InstanceUNet:
    """Build the network that fits `state`, whatever wrappers have added to its names, and load it.

    Raises
    ------
    ModelError
        If tensors are missing, left over, of the wrong shape or not finite.
    """
    weights = plain_weights(state)
    missing = [name for name in ("init_conv.weight", "final_conv.weight") if name not in weights]
    if missing:
        raise ModelError(f"not an instance network: the tensor {missing[0]} is missing")
    first, last = weights["init_conv.weight"].shape, weights["final_conv.weight"].shape
    (width, channels), classes = (*first, 0, 0)[:2], (*last, 0)[0]
    if width % _GROUPS or not 0 < width <= _MAX_WIDTH or not 0 < channels <= _MAX_CHANNELS:
        raise ModelError(
            f"not an instance network: {channels} channels and a width of {width}; at most "
            f"{_MAX_CHANNELS} and {_MAX_WIDTH}, a multiple of {_GROUPS}, are expected"
        )
    if not 2 <= classes <= _MAX_CHANNELS:
        raise ModelError(f"not an instance network: {classes} classes")
    with torch.device("meta"):
        network = InstanceUNet(channels, width, classes)
    try:
        weights = fitting_weights(network, weights)
    except ModelError as error:
        raise ModelError(f"not an instance network: {error}") from error
    network.to_empty(device="cpu").load_state_dict(weights)
    return network.eval()


def state_for_checkpoint(network: nn.Module) -> dict[str, Tensor]:
    """Return the 182 tensors under the keys that SPINEPS and `network_from_state` read."""
    return {_PREFIX + key: tensor for key, tensor in network.state_dict().items()}


@dataclass(frozen=True, kw_only=True)
class InstanceModel(LoadedModel):
    """A loaded phase-2 model.

    Parameters
    ----------
    network
        The network, on its device, ready for inference.
    """

    network: InstanceUNet

    def logits(self, codes: Tensor) -> Tensor:
        """Codes (N, P, I, R) of windows of the model's size -> logits (N, classes, P, I, R)."""
        if self._is_compiled:
            return self._compiled(codes)
        return self._with_codes(codes)

    @property
    def windows_at_once(self) -> int:
        """Windows of a pass that suit the device."""
        return self._compiled.at_once if self._is_compiled else 1

    @property
    def _is_compiled(self) -> bool:
        return self.may_compile and suits(self.device, self.compute)

    @cached_property
    def _with_codes(self) -> OneHot:
        return OneHot(self.network).to(self.device)

    @cached_property
    def _compiled(self) -> CompiledNetwork:
        window = torch.zeros((1, *self.config.cutout_size), dtype=torch.uint8)
        threads, width = torch.get_num_threads(), self.network.width
        return CompiledNetwork(self._with_codes, window, self.compute, threads, width)


def load_instance_model(
    folder: Path | ModelFolder,
    device: str = "auto",
    compute: str = "auto",
    *,
    may_compile: bool = True,
) -> InstanceModel:
    """Load a phase-2 model; parameters and errors as in `load_semantic_model`."""
    folder = folder if isinstance(folder, ModelFolder) else ModelFolder.read(folder)
    if folder.role != "instance":
        raise ModelError(f"{folder.path}: not an instance model")
    check_recorded(folder)
    path = folder.instance_checkpoint
    checkpoint = load_checkpoint(path)
    if "state_dict" not in checkpoint:
        raise ModelError(f"{path}: the entry state_dict is missing")
    try:
        network = network_from_state(checkpoint["state_dict"])
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    folder.check_unchanged()
    chosen = choose_device(device)
    return InstanceModel(
        folder=folder,
        network=network.to(chosen).requires_grad_(requires_grad=False),
        device=chosen,
        compute=choose_compute(compute, chosen),
        may_compile=may_compile,
    )
