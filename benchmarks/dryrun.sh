#!/usr/bin/env bash
# How much planning costs: benchmarks/dryrun.sh COHORT.tsv
# Indexes the cohort into a temporary folder and plans the whole workflow there: a dry run without
# anything cached. Prints seconds and MB; fails beyond 20 CPU seconds or 1 GB.
# A cohort to measure with: python benchmarks/make_cohort.py 100000 FOLDER
set -euo pipefail

cohort=$(realpath "${1:?usage: benchmarks/dryrun.sh COHORT.tsv}")
here=$(dirname "$(realpath "$0")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

mkdir config
printf 'cohort: "%s"\nresults: results\n' "$cohort" > config/config.yaml
python "$here/measured.py" -- columna index
# Without a profile, whose printshellcmds would print every job in spite of --quiet.
python "$here/measured.py" --max-cpu-s 20 --max-mb 1000 -- \
  snakemake -s "$here/../Snakefile" --workflow-profile none --cores 1 --dry-run --quiet
