"""Three numbers, one for each axis of an image."""

Triple = tuple[float, float, float]
