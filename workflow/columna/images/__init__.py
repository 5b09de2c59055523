"""Arrays in space: volumes, what in them is signal, morphology, masks with smooth borders."""
