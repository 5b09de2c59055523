"""Where a network runs and in which number format."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import nn

from columna.errors import ModelError

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


Network = TypeVar("Network", bound=nn.Module)


def laid_out(network: Network, memory_format: torch.memory_format) -> Network:
    """`network`, its weights in `memory_format` from here on."""
    return network.to(memory_format=memory_format)  # type: ignore[call-overload]  # torch's gap


def choose_device(device: str = "auto") -> torch.device:
    """Return the torch device called `device`; ``auto`` takes the first CUDA device, else CPU."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise ModelError(f"unknown device {device!r}") from error
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise ModelError(f"device {device!r} is asked for, but torch sees no CUDA device")
    return chosen


def choose_compute(compute: str, device: torch.device) -> torch.dtype:
    """Return the number format called `compute` (auto, float32, bfloat16 or float16).

    ``auto`` is float16 on CUDA, bfloat16 on CPUs that multiply it in hardware (elsewhere it is
    emulated and slower than float32), and float32 otherwise.
    """
    if compute != "auto":
        return _DTYPES[compute]
    if device.type == "cuda":
        return torch.float16
    if device.type == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return torch.bfloat16
    return torch.float32


@contextmanager
def inference(device: torch.device, dtype: torch.dtype) -> Iterator[None]:
    """Run the enclosed forward passes in `dtype`, without gradients, and repeatably.

    cuDNN may otherwise choose another algorithm in every process, and answers would differ in
    the last bits.
    """
    with (
        torch.inference_mode(),
        torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True),
        torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32),
    ):
        yield
