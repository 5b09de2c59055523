"""Letters, names and the scale bar of a picture."""

from collections.abc import Mapping, Sequence
from functools import cache

from PIL import Image, ImageDraw, ImageFont

from columna.picture.marks import Doubt, Mark

STRIP = 18
"""Height of the strip above a panel, in pixels."""
SIZE = 13
BARS_MM = (50, 20, 10)
_WHITE, _GREY, _BLACK = (255, 255, 255), (170, 170, 170), (0, 0, 0)
_INK: dict[Doubt, tuple[int, int, int]] = {
    "none": _WHITE,
    "doubtful": (240, 228, 66),
    "false": (255, 150, 90),
}
_GAP = 5


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def write_marks(
    panel: Image.Image, marks: Sequence[Mark], places: Mapping[int, tuple[float, float]]
) -> None:
    """Write names to the left of the vertebrae.

    Parameters
    ----------
    panel
        Is written on.
    marks
        Names.
    places
        Label -> row and column of the left edge of its body, in pixels.
    """
    draw = ImageDraw.Draw(panel)
    for mark in marks:
        if mark.label in places and mark.text:
            row, column = places[mark.label]
            width = draw.textlength(mark.text, font=_font(SIZE))
            at = (max(column - _GAP, width + 2), row)
            _text(draw, at, mark.text, "rm", _INK[mark.doubt])


def with_frame(
    panel: Image.Image, title: str, sides: tuple[str, str], pixel_mm: float
) -> Image.Image:
    """A panel with a strip above it: title, letters of orientation, and a scale bar in it."""
    framed = Image.new("RGB", (panel.width, panel.height + STRIP))
    framed.paste(panel, (0, STRIP))
    draw = ImageDraw.Draw(framed)
    right, bottom = framed.width - 4, framed.height
    _text(draw, (framed.width / 2, STRIP / 2), title, "mm", _GREY)
    _text(draw, (4, STRIP / 2), sides[0], "lm")
    _text(draw, (right, STRIP / 2), sides[1], "rm")
    _text(draw, (right, STRIP + 4), "S", "rt")
    _text(draw, (right, bottom - 4), "I", "rb")
    _scale_bar(draw, framed.width, bottom, pixel_mm)
    return framed


def empty(size: tuple[int, int], title: str) -> Image.Image:
    """A framed panel of which there is nothing to show."""
    panel = Image.new("RGB", size)
    _text(ImageDraw.Draw(panel), (size[0] / 2, STRIP / 2), f"{title}: none", "mm", _GREY)
    return panel


def _scale_bar(draw: ImageDraw.ImageDraw, width: int, bottom: int, pixel_mm: float) -> None:
    length_mm = next((mm for mm in BARS_MM if mm / pixel_mm <= width / 2), BARS_MM[-1])
    end = 5 + length_mm / pixel_mm
    draw.rectangle((5, bottom - 10, end + 1, bottom - 6), fill=_BLACK)
    draw.rectangle((6, bottom - 9, end, bottom - 7), fill=_WHITE)
    _text(draw, (6, bottom - 13), f"{length_mm} mm", "lb")


def _text(
    draw: ImageDraw.ImageDraw,
    at: tuple[float, float],
    text: str,
    anchor: str,
    ink: tuple[int, int, int] = _WHITE,
) -> None:
    draw.text(at, text, ink, _font(SIZE), anchor=anchor, stroke_width=2, stroke_fill=_BLACK)
