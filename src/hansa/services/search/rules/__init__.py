"""What is true of search: how texts become words, what a query means, what a product is found by, what is offered to
choose."""
