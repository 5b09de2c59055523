"""What surrounds the spine of a phantom, up to the skin."""
