"""Phase 1: from a prepared image to the mask of 14 structures."""
