"""Networks of full size on a CPU: the plain way and ours, seconds, memory and agreement.

    python benchmarks/networks.py instance [--threads 2] [--windows 4] [--width 16]
    python benchmarks/networks.py semantic [--threads 2]

Weights are random: speed and memory do not depend on them. "plain" is what SPINEPS does: nnU-Net's
own predictor in float32; the instance network on a float32 one-hot batch of all windows. Each way
runs in a process of its own; memory is that of the process, "before" is with the network loaded.
"""

import argparse
import json
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from columna.anatomy import Semantic
from columna.images.volume import PIR, Volume
from columna.instance.windows import classify, cut, encode
from columna.models.inference_config import InferenceConfig
from columna.models.instance_network import InstanceUNet, OneHot
from columna.models.openvino import CompiledNetwork
from columna.models.semantic_network import load_semantic_model
from columna.phantom.generate import make_scene
from columna.phantom.settings import PhantomSettings
from columna.semantic.sliding_window import Window, predict_logits

SPACING_MM = (0.75, 0.75, 1.65)
WINDOW = (248, 304, 64)
PATCH = (32, 256, 192)
CLASSES = 12
FEATURES = (32, 64, 128, 256, 320, 320)
KERNELS = [[1, 3, 3]] + [[3, 3, 3]] * 5
STRIDES = [[1, 1, 1], [1, 2, 2], [2, 2, 2], [2, 2, 2], [2, 2, 2], [1, 2, 2]]
CPU = torch.device("cpu")

Figures = tuple[float, float, float, float, np.ndarray]
"""Wall seconds, CPU seconds, MB before, MB at the peak, the classes that were found."""


def measured(run: Callable[[], np.ndarray]) -> Figures:
    before = peak_mb()
    wall, cpu = time.perf_counter(), time.process_time()
    answer = run()
    return time.perf_counter() - wall, time.process_time() - cpu, before, peak_mb(), answer


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def windows_of_codes(n: int) -> np.ndarray:
    """Windows around vertebrae of a phantom, (n, P, I, R)."""
    scene = make_scene(PhantomSettings(spacing_mm=SPACING_MM))
    mask = Volume(scene.semantic, scene.grid.affine).reoriented(PIR).array
    encoded = encode(mask, InferenceConfig.model_fields["mapping"].default)
    rows = np.flatnonzero((mask == Semantic.VERTEBRAL_BODY).any(axis=(0, 2)))
    middles = rows[np.linspace(0, len(rows) - 1, n + 2).astype(int)[1:-1]]
    starts = []
    for row in middles:
        body = np.argwhere(mask[:, row] == Semantic.VERTEBRAL_BODY).mean(axis=0).astype(int)
        starts.append(np.array([body[0], row, body[1]]) - np.array(WINDOW) // 2)
    return np.stack([cut(encoded, start, WINDOW) for start in starts])


def instance(way: str, threads: int, n: int, width: int) -> Figures:
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    network = InstanceUNet(10, width).eval().requires_grad_(requires_grad=False)
    windows = np.load(os.environ["WINDOWS"])[:n]
    if way == "plain":
        return measured(lambda: plain_instance(network, windows))
    sample = torch.from_numpy(windows[:1])
    ours = CompiledNetwork(OneHot(network), sample, torch.float32, threads, width)
    model = SimpleNamespace(logits=ours, device=CPU, compute=torch.float32)
    return measured(lambda: classify(windows, model))


def plain_instance(network: InstanceUNet, windows: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        logits = OneHot(network)(torch.from_numpy(windows))
        return logits.softmax(dim=1).argmax(dim=1).to(torch.uint8).numpy()


def semantic(way: str, threads: int, n: int, width: int) -> Figures:
    torch.set_num_threads(threads)
    rng = np.random.default_rng(0)
    image = rng.normal(size=(1, *PATCH)).astype(np.float32)
    with tempfile.TemporaryDirectory() as name:
        folder = write_semantic(Path(name))
        if way == "plain":
            predictor, given = nnunet_predictor(folder), torch.from_numpy(image)
            *figures, _ = measured(lambda: predictor.predict_logits_from_preprocessed_data(given))
            # compared is the network's own answer: the predictor rounds logits to float16
            with torch.inference_mode():
                logits = predictor.network(given[None])[0]
            return *figures, logits.argmax(dim=0).to(torch.uint8).numpy()
        model = load_semantic_model(folder, "cpu", "float32")
        list(model.networks())  # compiled once, before the first scan
        return measured(lambda: semantic_classes(model, image))


def semantic_classes(model, image: np.ndarray) -> np.ndarray:
    """Class of every voxel of an image of one tile, which comes in one slab."""
    window = Window(PATCH, 0.5)
    [(_, logits)] = predict_logits(model.networks, image, window, CLASSES, CPU, torch.float32)
    return logits.argmax(dim=0).to(torch.uint8).numpy()


def nnunet_predictor(folder: Path):
    """nnU-Net's own predictor without mirroring."""
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    predictor = nnUNetPredictor(
        use_mirroring=False, perform_everything_on_device=False, device=CPU, allow_tqdm=False
    )
    predictor.initialize_from_trained_model_folder(str(folder), (0,), "checkpoint_final.pth")
    return predictor


def write_semantic(folder: Path) -> Path:
    """A model folder with a network of 30.7 million random parameters."""
    from dynamic_network_architectures.architectures.unet import PlainConvUNet
    from torch import nn

    kinds = {
        "conv_op": "torch.nn.modules.conv.Conv3d",
        "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
        "dropout_op": None,
        "nonlin": "torch.nn.LeakyReLU",
    }
    arguments = {
        "n_stages": len(FEATURES),
        "features_per_stage": FEATURES,
        "kernel_sizes": KERNELS,
        "strides": STRIDES,
        "n_conv_per_stage": [2] * len(FEATURES),
        "n_conv_per_stage_decoder": [2] * (len(FEATURES) - 1),
        "conv_bias": True,
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "dropout_op_kwargs": None,
        "nonlin_kwargs": {"inplace": True},
    }
    torch.manual_seed(0)
    network = PlainConvUNet(
        1,
        num_classes=CLASSES,
        **arguments | {"conv_op": nn.Conv3d, "norm_op": nn.InstanceNorm3d, "nonlin": nn.LeakyReLU},
    )
    write_folder(folder, arguments | kinds, list(kinds))
    checkpoint = {
        "network_weights": network.state_dict(),
        "trainer_name": "nnUNetTrainer",
        "init_args": {"configuration": "3d_fullres"},
        "inference_allowed_mirroring_axes": None,
    }
    (folder / "fold_0").mkdir()
    torch.save(checkpoint, folder / "fold_0" / "checkpoint_final.pth")
    return folder


def write_folder(folder: Path, arguments: dict, imported: list[str]) -> None:
    """The JSON files of a model folder."""
    resampling = {
        f"resampling_fn_{what}{end}": value
        for what in ("data", "seg", "probabilities")
        for end, value in (("", "resample_data_or_seg_to_shape"), ("_kwargs", {"is_seg": False}))
    }
    plan = {
        "patch_size": PATCH,
        "spacing": SPACING_MM[::-1],
        "normalization_schemes": ["ZScoreNormalization"],
        "use_mask_for_norm": [False],
        "batch_size": 2,
        "architecture": {
            "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
            "arch_kwargs": arguments,
            "_kw_requires_import": imported,
        },
        **resampling,
    }
    plans = {
        "dataset_name": "Dataset001",
        "plans_name": "nnUNetPlans",
        "image_reader_writer": "SimpleITKIO",
        "label_manager": "LabelManager",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {"3d_fullres": plan},
        "foreground_intensity_properties_per_channel": {"0": {"mean": 0, "std": 1}},
    }
    labels = {"background": 0, **{f"class {n}": n for n in range(1, CLASSES)}}
    dataset = {"channel_names": {"0": "MR"}, "labels": labels, "file_ending": ".nii.gz"}
    config = {
        "log_name": "benchmark",
        "modality": "T2w",
        "acquisition": "sag",
        "modeltype": "nnunet",
        "model_expected_orientation": ["P", "I", "R"],
        "available_folds": 1,
        "inference_augmentation": False,
        "resolution_range": SPACING_MM,
        "default_step_size": 0.5,
        "labels": {str(n): n for n in range(1, CLASSES)},
    }
    for name, content in (("plans", plans), ("dataset", dataset), ("inference_config", config)):
        (folder / f"{name}.json").write_text(json.dumps(content))


def elsewhere(task: Callable, *arguments):
    """Run a task in a process that starts small: children count their parent's memory as theirs."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(task, *arguments).result()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", choices=["instance", "semantic"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--windows", type=int, default=4)
    parser.add_argument("--width", type=int, default=16)
    options = parser.parse_args()
    task = {"instance": instance, "semantic": semantic}[options.network]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["WINDOWS"] = f"{folder}/windows.npy"
        if task is instance:
            np.save(os.environ["WINDOWS"], elsewhere(windows_of_codes, options.windows))
        results = {}
        for way in ("plain", "ours"):
            results[way] = elsewhere(task, way, options.threads, options.windows, options.width)
            wall, cpu, before, peak, _ = results[way]
            print(
                f"{way:<8}{wall:7.1f} s wall {cpu:7.1f} s CPU   peak {peak:6.0f} MB, "
                f"{peak - before:6.0f} more than before",
                flush=True,
            )
    plain, ours = results["plain"], results["ours"]
    print(
        f"ratio   {plain[0] / ours[0]:7.2f}        {plain[1] / ours[1]:7.2f}            "
        f"{ours[3] / plain[3]:.2f}"
    )
    print(f"equal voxels: {(plain[4] == ours[4]).mean():.5%}")


if __name__ == "__main__":
    main()
