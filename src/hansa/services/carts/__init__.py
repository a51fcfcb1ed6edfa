"""What somebody means to buy, and the one function that prices a basket."""
