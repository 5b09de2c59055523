"""columna: sagittal spine MRI in, vertebra masks and Parquet tables out."""

__version__ = "0.1.0"
