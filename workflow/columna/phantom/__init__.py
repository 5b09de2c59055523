"""Synthetic spines with exactly known truth, for tests, the demo and training.

Shapes are inequalities in millimetres, evaluated at the voxel centres of any grid, so that the
masks hold no trace of a resampling. A phantom depends on its settings only: same settings, same
bits.
"""

from columna.phantom.generate import Phantom, make_phantom
from columna.phantom.settings import PhantomSettings, random_settings
from columna.phantom.write import write_phantom

__all__ = ["Phantom", "PhantomSettings", "make_phantom", "random_settings", "write_phantom"]
