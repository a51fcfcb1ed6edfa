"""Who owns what for a while: one process a data folder, several processes the slots of a database."""
