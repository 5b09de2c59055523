"""Training samples: label maps and scans, deformed, painted and scanned at random."""
