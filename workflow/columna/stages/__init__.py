"""The stages: thin adapters between the per-scan store and the library."""
