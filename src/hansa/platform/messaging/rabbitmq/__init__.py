"""The bus on RabbitMQ: topic exchanges, quorum queues, delays that are queues."""
