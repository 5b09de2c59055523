"""Make a phantom: place a spine, paint its masks, surround it, render the image."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from columna.anatomy import Semantic
from columna.images.volume import Volume
from columna.phantom.around.profile import profile_of
from columna.phantom.around.skeleton import paint_skeleton
from columna.phantom.around.surroundings import paint_surroundings
from columna.phantom.around.whole_body import paint_body
from columna.phantom.paint import BONES, Contrast, render, t2w_means
from columna.phantom.settings import PhantomSettings
from columna.phantom.spine.bones import PhantomCanvas, paint_bones
from columna.phantom.spine.course import L1, PhantomSpine, build_spine
from columna.phantom.spine.lesions import paint_lesions
from columna.phantom.spine.truth import describe
from columna.phantom.spine.tubes import CentreLine, centre_line, paint_canal
from columna.phantom.tissues import EMPTY
from columna.phantom.voxels import VoxelGrid, make_grid

_CSF = 900.0
_DEPTH_MM = {"whole": 240.0, "lumbar": 200.0, "thoracic": 200.0, "cervicothoracic": 190.0}
_WIDTH_MM = 62.7


@dataclass(frozen=True, eq=False)
class Phantom:
    """A synthetic scan with its truth.

    Parameters
    ----------
    image
        int16, T2w-like.
    semantic
        uint8, the 14 SPINEPS structures (26, 41 to 49, 60, 61, 62, 100).
    instance
        uint8: vertebrae by level (C2 = 2 ... L5 = 24, L6 = 25, T13 = 28), sacrum 26, discs
        100 + X, both plates of the disc space below X 200 + X.
    truth
        Settings, and positions and sizes of every level (`columna.phantom.spine.truth`).
    """

    image: Volume
    semantic: Volume
    instance: Volume
    truth: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Scene:
    """The masks of a phantom and its tissues, before an image is painted."""

    grid: VoxelGrid
    spine: PhantomSpine
    semantic: np.ndarray
    instance: np.ndarray
    tissues: np.ndarray


def make_phantom(settings: PhantomSettings, marrow: float | None = None) -> Phantom:
    """Make the phantom that `settings` describe; the same settings give the same bits.

    Parameters
    ----------
    settings
        Spine and scan.
    marrow
        Brightness of bones relative to cerebrospinal fluid; None: as usual.
    """
    scene = make_scene(settings)
    rng = np.random.default_rng([settings.seed, 3])
    means = t2w_means(rng, 0.08)
    if marrow is not None:
        fluid, bone = means[Semantic.SPINAL_CANAL], means[Semantic.VERTEBRAL_BODY]
        means[list(BONES)] *= marrow * fluid / bone
    contrast = Contrast(
        means,
        texture=settings.texture,
        bias=settings.bias,
        noise=settings.noise * _CSF,
    )
    affine = scene.grid.affine
    image = np.round(render(scene.tissues, scene.grid.spacing_mm, contrast, rng)).astype(np.int16)
    semantic, instance = Volume(scene.semantic, affine), Volume(scene.instance, affine)
    truth = describe(settings, scene.spine, semantic, instance)
    return Phantom(Volume(image, affine), semantic, instance, truth)


def make_masks(settings: PhantomSettings) -> tuple[Volume, Volume]:
    """Semantic and instance mask of a phantom alone: a fraction of the work on fine grids."""
    canvas, _, _ = _bones_and_canal(settings)
    affine = canvas.grid.affine
    return Volume(canvas.semantic, affine), Volume(canvas.instance, affine)


def _bones_and_canal(
    settings: PhantomSettings,
) -> tuple[PhantomCanvas, PhantomSpine, CentreLine]:
    """The spine on its grid, with nothing around it."""
    spine = build_spine(settings)
    line = centre_line(spine, settings.stenosis)
    grid = _field_of_view(settings, spine, line)
    canvas = PhantomCanvas(
        grid,
        np.zeros(grid.shape, np.uint8),
        np.zeros(grid.shape, np.uint8),
        np.full(grid.shape, EMPTY, np.uint8),
    )
    paint_canal(grid, line, canvas.semantic, canvas.scene, settings)
    paint_bones(canvas, spine, settings)
    return canvas, spine, line


def make_scene(settings: PhantomSettings) -> Scene:
    """Masks and tissues of a phantom."""
    canvas, spine, line = _bones_and_canal(settings)
    rng = np.random.default_rng([settings.seed, 2])
    if settings.surroundings == "body":
        paint_lesions(canvas, spine, rng)
        paint_skeleton(canvas, spine, coccyx=settings.coccyx)
        paint_body(canvas, profile_of(spine, line), rng)
    else:
        paint_surroundings(canvas, spine, line, rng)
    return Scene(canvas.grid, spine, canvas.semantic, canvas.instance, canvas.scene)


def _field_of_view(settings: PhantomSettings, spine: PhantomSpine, line: CentreLine) -> VoxelGrid:
    """A grid around the region of `settings`; it ends in the middle of vertebrae."""
    top, bottom = _limits(settings, spine)
    inside = (line.points[:, 2] > bottom) & (line.points[:, 2] < top)
    middle = line.points[inside].mean(axis=0)
    centre = np.array([middle[0], middle[1] + 15.0, (top + bottom) / 2])
    fov = settings.fov_mm or (_DEPTH_MM[settings.region], top - bottom, _WIDTH_MM)
    posterior, inferior, right = settings.fov_shift_mm
    return make_grid(settings, centre + np.array([right, -posterior, -inferior]), np.asarray(fov))


def _limits(settings: PhantomSettings, spine: PhantomSpine) -> tuple[float, float]:
    """Upper and lower end of the region, superior mm."""
    heights = [float(v.frame[2, 3]) for v in spine.vertebrae]
    first_lumbar = [v.label for v in spine.vertebrae].index(L1)
    above_c2 = heights[0] + 50.0
    low_sacrum = float(spine.sacrum[3].frame[2, 3])
    return {
        "whole": (above_c2, low_sacrum),
        "lumbar": (heights[first_lumbar - 3], low_sacrum),
        "thoracic": (heights[4], heights[first_lumbar + 1]),
        "cervicothoracic": (above_c2, heights[10]),
    }[settings.region]
