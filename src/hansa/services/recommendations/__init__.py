"""What visitors look at, search for and choose, as far as they consent: what recommendations will be made of."""
