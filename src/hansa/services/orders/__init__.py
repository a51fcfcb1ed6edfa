"""What was bought: from a quote to a placed, fulfilled, cancelled or refunded order."""
