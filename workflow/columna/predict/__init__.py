"""Predicted quality: the Dice that each structure probably has, and a lower bound of it."""
