"""How events travel: a small port, and an in-process adapter that redelivers and dead-letters as brokers do."""
