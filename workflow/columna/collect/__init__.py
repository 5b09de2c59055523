"""From the shards of all batches to the delivered tables, and to other formats."""
