"""Phase 2: vertebra instances from the semantic mask (spineps-behaviour 4)."""

from columna.instance.phase_2 import segment_instances

__all__ = ["segment_instances"]
