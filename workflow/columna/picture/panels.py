"""The sheet of a scan: panels of one size side by side, in one WebP file.

Plain plane, structures, vertebrae with names, and the coronal surface; of a scan whose spine was
not found, all but the plain one are empty. Equal scans give equal bytes.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from columna.images.volume import Volume
from columna.picture import lettering
from columna.picture.colours import colour_table
from columna.picture.marks import Mark
from columna.picture.middle import Middle, find_middle
from columna.picture.planes import (
    Cut,
    SpineWindow,
    cut_coronal,
    cut_middle,
    cut_sagittal,
    fronts,
    spine_window,
)

PIXEL_MM = 0.6
"""Size of a pixel, unless the sheet would be higher than `HIGHEST`."""
HIGHEST = 800
NARROWEST = 110
LARGEST_BYTES = 150_000
QUALITIES = (80, 65, 50, 35, 20, 5, 0)
PANELS = ("plane", "structures", "vertebrae", "coronal")
_FILL, _EDGE = 0.38, 0.9
_BLACK, _WHITE = 1.0, 99.7
"""Percentiles of the signal that are shown black and white."""


@dataclass(frozen=True, eq=False)
class PictureItem:
    """What a picture is drawn from.

    Parameters
    ----------
    image
        The scan, any orientation.
    semantic, instance
        Final masks on its grid; None for a scan that has none.
    marks
        Names beside the vertebrae.
    is_whole
        Show the whole plane, not the spine alone.
    """

    image: Volume
    semantic: Volume | None = None
    instance: Volume | None = None
    marks: Sequence[Mark] = field(default=())
    is_whole: bool = False


def draw_picture(item: PictureItem) -> bytes:
    """Draw a scan; the content of a WebP file of at most `LARGEST_BYTES`."""
    image = item.image.reoriented()
    found = _found(item)
    if found is None:
        plain = _panel(cut_middle(image, is_whole=item.is_whole), PANELS[0])
        panels = [plain, *(lettering.empty(plain.size, title) for title in PANELS[1:])]
    else:
        semantic, instance, middle = found
        window = spine_window(semantic, middle)
        if item.is_whole:
            window = SpineWindow((0, image.shape[0]), (0, image.shape[1]))
        grid = (image, semantic, instance, middle, window)
        panels = _panels(
            cut_sagittal(*grid, is_whole=item.is_whole), cut_coronal(*grid), item.marks
        )
    return _encoded(_side_by_side(panels))


def _found(item: PictureItem) -> tuple[Volume, Volume, Middle] | None:
    """Masks and the middle of the spine, where there is one."""
    if item.semantic is None or item.instance is None:
        return None
    semantic, instance = item.semantic.reoriented(), item.instance.reoriented()
    labels = [mark.label for mark in item.marks if mark.doubt != "false"]
    middle = find_middle(semantic, instance, labels)
    return None if middle is None else (semantic, instance, middle)


def _panels(sagittal: Cut, coronal: Cut, marks: Sequence[Mark]) -> list[Image.Image]:
    pixel_mm = _pixel_mm(sagittal)
    size = _size(sagittal, pixel_mm)
    coronal = _fitted(coronal, size[0] * pixel_mm)
    plain, structures, vertebrae, front = PANELS
    return [
        _panel(sagittal, plain),
        _panel(sagittal, structures, "semantic"),
        _panel(sagittal, vertebrae, "instance", marks),
        _panel(coronal, front, "instance", marks, pixel_mm=pixel_mm, width=size[0]),
    ]


def _panel(
    cut: Cut,
    title: str,
    mask: str | None = None,
    marks: Sequence[Mark] = (),
    *,
    pixel_mm: float | None = None,
    width: int | None = None,
) -> Image.Image:
    """One plane with its letters and scale; `width` in pixels, with black on both sides."""
    pixel_mm = pixel_mm or _pixel_mm(cut)
    size = _size(cut, pixel_mm)
    picture = _grey(cut, size)
    if mask is not None:
        picture = _tinted(picture, _enlarged(getattr(cut, mask), size), colour_table(mask))
    offset = 0 if width is None else (width - size[0]) // 2
    framed = Image.new("RGB", (width or size[0], size[1]))
    framed.paste(Image.fromarray(picture), (offset, 0))
    scale = size[1] / cut.image.shape[0], size[0] / cut.image.shape[1]
    if marks:
        places = {
            label: ((row + 0.5) * scale[0], offset + column * scale[1])
            for label, (row, column) in fronts(cut).items()
        }
        lettering.write_marks(framed, marks, places)
    sides = ("R", "L") if title == PANELS[-1] else ("A", "P")
    return lettering.with_frame(framed, title, sides, pixel_mm)


def _pixel_mm(cut: Cut) -> float:
    return max(PIXEL_MM, cut.image.shape[0] * cut.pixel_mm[0] / HIGHEST)


def _size(cut: Cut, pixel_mm: float) -> tuple[int, int]:
    """Width and height in pixels."""
    rows, columns = cut.image.shape
    return (
        max(round(columns * cut.pixel_mm[1] / pixel_mm), 1),
        max(round(rows * cut.pixel_mm[0] / pixel_mm), 1),
    )


def _fitted(cut: Cut, width_mm: float) -> Cut:
    """Columns around the middle of the vertebrae that fit into `width_mm`."""
    assert cut.instance is not None and cut.semantic is not None  # noqa: S101, PT018
    count = cut.image.shape[1]
    wanted = min(int(width_mm / cut.pixel_mm[1]), count)
    columns = np.flatnonzero((cut.instance > 0).any(axis=0))
    centre = (columns[0] + columns[-1]) / 2 if len(columns) else (count - 1) / 2
    first = int(np.clip(round(centre - (wanted - 1) / 2), 0, count - wanted))
    part = np.s_[:, first : first + max(wanted, 1)]
    return Cut(
        cut.image[part], cut.semantic[part], cut.instance[part], cut.is_shown[part], cut.pixel_mm
    )


def _grey(cut: Cut, size: tuple[int, int]) -> np.ndarray:
    """The signal as RGB, shape (height, width, 3)."""
    shown = cut.image[cut.is_shown]
    low, high = np.percentile(shown, (_BLACK, _WHITE)) if shown.size else (0.0, 1.0)
    # not a trace of what is not shown, not even where pixels are made of several
    image = np.where(cut.is_shown, cut.image, low)
    level = np.clip((image - low) / max(high - low, 1e-6), 0, 1)
    grey = Image.fromarray((level * 255).astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
    black = _enlarged(cut.is_shown.astype(np.uint8), size) == 0
    picture = np.asarray(grey).copy()
    picture[black] = 0
    return np.repeat(picture[..., None], 3, axis=2)


def _enlarged(mask: np.ndarray | None, size: tuple[int, int]) -> np.ndarray:
    assert mask is not None  # noqa: S101 - only cuts with masks are tinted
    rows = (np.arange(size[1]) + 0.5) * mask.shape[0] / size[1]
    columns = (np.arange(size[0]) + 0.5) * mask.shape[1] / size[0]
    return mask[np.ix_(rows.astype(int), columns.astype(int))]


def _tinted(picture: np.ndarray, mask: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Labels over the signal, with strong edges."""
    mask = np.where(mask < len(colours), mask, 0).astype(int)
    edge = np.zeros(mask.shape, bool)
    edge[:, 1:] |= mask[:, 1:] != mask[:, :-1]
    edge[1:] |= mask[1:] != mask[:-1]
    weight = np.where(edge, _EDGE, _FILL)[..., None] * (mask > 0)[..., None]
    return np.round(picture * (1 - weight) + colours[mask] * weight).astype(np.uint8)


def _side_by_side(panels: Sequence[Image.Image]) -> Image.Image:
    width = max(NARROWEST, *(panel.width for panel in panels))
    height = max(panel.height for panel in panels)
    sheet = Image.new("RGB", (width * len(panels), height))
    for place, panel in enumerate(panels):
        sheet.paste(panel, (place * width + (width - panel.width) // 2, 0))
    return sheet


def _encoded(sheet: Image.Image) -> bytes:
    content = b""
    for quality in QUALITIES:
        stream = io.BytesIO()
        sheet.save(stream, "WEBP", quality=quality, method=4)
        content = stream.getvalue()
        if len(content) <= LARGEST_BYTES:
            break
    return content
