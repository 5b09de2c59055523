"""Networks on CPUs, compiled by OpenVINO for the processor at hand.

Compared with torch it takes two thirds of the time in float32 and a third in bfloat16
(docs/performance.md#networks-on-cpus). Every sample is computed by one thread, and several samples
at the same time: sums of several threads depend on their number in the last bits, and so would
masks.
"""

import sys
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

PRECISIONS = {torch.float32: "f32", torch.bfloat16: "bf16"}
MEMORY_BYTES = 3 << 30
"""What all samples that are computed at the same time may take together, about."""
FEATURE_MAPS = 4
"""A pass holds about this many tensors as large as the widest one at full resolution."""


def suits(device: torch.device, compute: torch.dtype) -> bool:
    """Whether networks run by OpenVINO there; else by torch."""
    return device.type == "cpu" and compute in PRECISIONS and find_spec("openvino") is not None


def _openvino() -> ModuleType:
    """OpenVINO, without the package by which every import would report to its makers."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # as documented
    import openvino

    return openvino


def _graph(network: nn.Module, sample: Tensor) -> Any:
    """The graph of a network as OpenVINO has it, for samples of this shape."""
    _openvino()
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer's: shapes become constants, as they are
        # copied, since the next fold's weights go into the same tensors
        traced = TorchScriptPythonDecoder(
            network.eval(),
            example_input=(sample,),
            shared_memory=False,
            trace_kwargs={"check_trace": False},  # tests compare answers; this takes seconds
        )
        frontend = FrontEndManager().load_by_framework("pytorch")
        graph = frontend.convert(frontend.load(traced))
    graph.reshape({graph.inputs[0]: list(sample.shape)})
    return graph


class CompiledNetwork:
    """A network with the weights of now, for samples of one shape.

    Parameters
    ----------
    network
        On the CPU, in float32.
    sample
        Any sample, shape (1, ...); its shape and type are those of all.
    compute
        Number format, one of `PRECISIONS`.
    threads
        Samples computed at the same time, at most; fewer where they take much memory.
    width
        Channels at full resolution.
    """

    def __init__(
        self, network: nn.Module, sample: Tensor, compute: torch.dtype, threads: int, width: int
    ) -> None:
        voxels = int(np.prod(sample.shape[-3:]))
        least = MEMORY_BYTES // (voxels * width * 4 * FEATURE_MAPS)
        self.at_once = int(min(max(least, 1), threads))
        openvino = _openvino()
        compiled = openvino.Core().compile_model(
            _graph(network, sample),
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": PRECISIONS[compute],
                "INFERENCE_NUM_THREADS": self.at_once,
                "NUM_STREAMS": self.at_once,
                # jobs share machines: two of them must not be bound to the same cores
                "ENABLE_CPU_PINNING": False,
            },
        )
        self._requests = [compiled.create_infer_request() for _ in range(self.at_once)]

    def __call__(self, batch: Tensor) -> Tensor:
        """(n, ...) -> (n, classes, ...), float32."""
        samples = list(batch.split(1))
        groups = range(0, len(samples), self.at_once)
        return torch.cat([a for n in groups for a in self._group(samples[n : n + self.at_once])])

    def _group(self, samples: Sequence[Tensor]) -> list[Tensor]:
        """Answers to as many samples as there are requests, at most."""
        inputs = [np.ascontiguousarray(sample.numpy()) for sample in samples]
        running = self._requests[: len(samples)]
        for request, given in zip(running, inputs, strict=True):
            request.start_async({0: given}, share_inputs=True)
        for request in running:
            request.wait()
        return [torch.from_numpy(request.get_output_tensor(0).data.copy()) for request in running]
