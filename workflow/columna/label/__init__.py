"""Phase 3: final masks, level names and points.

The steps, constants and reasons: docs/method.md#phase-3-final-masks.
"""

from columna.label.final_masks import label_masks
from columna.label.given import take_masks
from columna.label.result import LabelResult

__all__ = ["LabelResult", "label_masks", "take_masks"]
