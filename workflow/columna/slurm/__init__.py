"""What the workflow knows about a Slurm cluster: its limits, and jobs that will never start."""
