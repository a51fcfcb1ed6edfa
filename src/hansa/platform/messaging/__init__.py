"""How events travel: a small port, and an in-process adapter that redelivers, retries and dead-letters as brokers do."""
