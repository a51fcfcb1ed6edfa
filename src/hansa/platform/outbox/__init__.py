"""From commit to effect: the relay that publishes committed events, and the inbox that makes each effect happen once."""
