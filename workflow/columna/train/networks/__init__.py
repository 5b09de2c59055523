"""The networks in training: tasks, losses, the loop, and the folders they are written to."""
