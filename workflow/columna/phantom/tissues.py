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
EPIDURAL_FAT = 12
BOWEL_WALL = 13
FLUID = 14
"""Slow fluid: bladder, bowel content, effusion."""
SKIN = 15
CAUDA = 16
HEART = 17
VEIN = 18
THYROID = 19
CEREBELLUM = 20
CSF = 21
"""Cerebrospinal fluid outside the labelled canal."""
MARROW = 22
"""Bone marrow that no label holds: ribs, skull, ilium, sternum, coccyx."""
NERVE = 23
BASIVERTEBRAL = 24
LESIONS = (25, 27, 28)
"""Patches within bodies: Modic-like, haemangioma-like, sclerosis."""
CLEFT = 29
"""Dark cleft of a nucleus, or a fissure."""
REMNANT_DISC = 30
SACRAL_CORTEX = 31
GLAND = 32
FASCIA = 33
SAC_RIM = 34
CARTILAGE = 35
BODY_CORTEX = 70
ARCH_CORTEX = 71
NUCLEUS_OFFSET = 30
EMPTY = 255
"""Not decided yet; no finished scene holds it."""
