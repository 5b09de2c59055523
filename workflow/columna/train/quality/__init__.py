"""The model of predicted quality: what it learns from, how it is fitted, and how good it is."""
