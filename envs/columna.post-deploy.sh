#!/usr/bin/env bash
# Snakemake runs this once in the new conda environment, from the working directory of the run.
# COLUMNA_SOURCE: what to install when that directory is not a copy of columna (module use).
set -euo pipefail
python -m pip install --no-deps "${COLUMNA_SOURCE:-.}"
