"""Phase 2: vertebra instances from the semantic mask.

The steps, constants and reasons: docs/method.md#phase-2-vertebrae.
"""

from columna.instance.phase_2 import segment_instances

__all__ = ["segment_instances"]
