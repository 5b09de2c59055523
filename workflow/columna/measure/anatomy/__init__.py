"""What is measured: bodies, endplates, discs, canal and cord, and the frames they lie in."""
