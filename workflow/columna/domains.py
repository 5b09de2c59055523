"""What a verdict is about: one part of a result can be right while another is not."""

from typing import Final, Literal

from columna.anatomy import BODY, CANAL, ENDPLATES, POSTERIOR_ELEMENTS, Semantic, semantic_names

Domain = Literal["names", "bodies", "discs", "canal_cord", "posterior", "image"]

NAMES: Final = "names"
BODIES: Final = "bodies"
DISCS: Final = "discs"
CANAL_CORD: Final = "canal_cord"
POSTERIOR: Final = "posterior"
IMAGE: Final = "image"
DOMAINS: dict[str, str] = {
    NAMES: "which vertebra is which, and where head, front and sides are",
    BODIES: "vertebral bodies with their endplates, and whether this is a T2w scan of a spine",
    DISCS: "intervertebral discs",
    CANAL_CORD: "spinal canal and cord",
    POSTERIOR: "arches and processes",
    IMAGE: "noise, contrast, blur and motion",
}
IN_VERDICT: tuple[Domain, ...] = (NAMES, BODIES, DISCS, CANAL_CORD)
"""The domains that make the verdict on a scan where the configuration does not say."""

_LABELS: dict[str, tuple[int, ...]] = {
    BODIES: (*BODY, *ENDPLATES, Semantic.DENS, Semantic.METAL),
    DISCS: (Semantic.DISC,),
    CANAL_CORD: CANAL,
    POSTERIOR: POSTERIOR_ELEMENTS,
    NAMES: (Semantic.SACRUM,),
}
"""Of the sacrum nothing but the names depends."""


def structure_domains() -> dict[str, str]:
    """Name of every semantic structure -> its domain."""
    by_label = {label: domain for domain, labels in _LABELS.items() for label in labels}
    return {name: by_label[label] for label, name in semantic_names().items() if label in by_label}
