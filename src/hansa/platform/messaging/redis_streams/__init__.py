"""Events through Redis Streams, for those who have Redis and no broker: a weaker promise, see docs/messaging.md."""
