"""Tools that know no anatomy: sampling, regions, robust fits, curves, cross-sections."""
