"""Who owns what for a while: for now, one process the data folder."""
