"""Phase 2: vertebra instances from the semantic mask (spineps-behaviour 4)."""

from columna.instance.segment import segment_instances

__all__ = ["segment_instances"]
