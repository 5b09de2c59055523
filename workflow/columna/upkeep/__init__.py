"""What a run has done, what of it is no longer true, and what it has delivered."""
