"""The spine of a phantom: its course, its bones and discs, canal and cord, lesions."""
