"""The topic model's corpus and network."""
