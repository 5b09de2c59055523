"""The review: results rated and put right in a browser on this machine (docs/review.md)."""
