"""Model folders: where they are, what is in them, and the networks they hold."""
