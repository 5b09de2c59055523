"""Phase 1: from a prepared image to the mask of 14 structures."""

from columna.semantic.phase_1 import SemanticResult, segment_semantic

__all__ = ["SemanticResult", "segment_semantic"]
