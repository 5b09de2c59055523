"""What a run has done, which results are outdated, and what it has delivered."""
