"""Money: intents, charges, refunds, and the providers' word on all of them."""
