"""What the numbers of the instance mask stand for (docs/method.md#vertebrae)."""

from typing import Literal

from columna.anatomy import DISC_OFFSET, ENDPLATE_OFFSET, SACRUM, Semantic

Kind = Literal["vertebra", "disc", "endplate_pair", "sacrum", "metal", "unknown"]

_END = ENDPLATE_OFFSET + 100


def instance_kind(label: int) -> Kind:
    """Structure of an instance label; vertebrae without a known level have numbers up to 99."""
    if label == SACRUM:
        return "sacrum"
    if label == Semantic.METAL:
        return "metal"
    if label < DISC_OFFSET:
        return "vertebra"
    if label < ENDPLATE_OFFSET:
        return "disc"
    return "endplate_pair" if label < _END else "unknown"
