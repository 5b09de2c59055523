"""The picture of a scan: planes that follow the spine, with masks and names (docs/report.md)."""

from columna.picture.marks import Mark, marks_of
from columna.picture.panels import PictureItem, draw_picture

__all__ = ["Mark", "PictureItem", "draw_picture", "marks_of"]
