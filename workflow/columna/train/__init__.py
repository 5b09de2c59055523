"""Training of the bundled networks on phantoms that are painted at random (the SynthSeg recipe).

``python -m columna.train semantic`` and ``python -m columna.train instance`` train for a given
number of minutes on the CPU or a GPU and write model folders that SPINEPS could read too.
"""
