"""Training of the bundled networks on phantoms that are painted at random (the SynthSeg recipe)."""
