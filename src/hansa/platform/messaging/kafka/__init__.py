"""Events through Kafka: a topic per service, a consumer group per service that hears; see docs/decisions/0024."""
