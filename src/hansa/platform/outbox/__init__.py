"""From commit to effect: the relay publishes committed events, and the inbox makes each effect happen once."""
