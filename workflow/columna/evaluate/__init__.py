"""How good a result is: masks and measures against references, programs against programs."""
