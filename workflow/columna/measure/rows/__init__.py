"""Rows of the tables, one file per table."""
