"""What a run keeps on the disk, where, and what it was made from."""
