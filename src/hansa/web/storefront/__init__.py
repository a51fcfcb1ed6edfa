"""The shop's pages for those who buy: what there is, the cart, the checkout, orders and the account."""
