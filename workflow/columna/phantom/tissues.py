"""Scene codes: what every voxel of a phantom consists of, finer than the semantic labels.

Labelled structures keep their semantic label, with these exceptions: every disc has a code of its
own (100 + label of the vertebra above it; its nucleus 30 more), so that discs may differ in
brightness, and the outer millimetre of bone is cortex.
"""

AIR = 0
FAT = 1
MUSCLE = 2
ORGANS = (3, 4, 5)
LIGAMENT = 6
VESSEL = 7
LUNG = 8
LOOSE_FAT = 9
BONE = 10
BRAIN = 11
CAUDA = 16
BODY_CORTEX = 70
ARCH_CORTEX = 71
NUCLEUS_OFFSET = 30
EMPTY = 255
"""Not decided yet; no finished scene holds it."""
