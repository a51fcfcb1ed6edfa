"""How impatient Kafka is in tests."""

from hansa.platform.messaging.kafka.servers import Timing

BRISK = Timing(
    publish_s=4,
    request_s=2,
    session_s=2,
    heartbeat_s=0.1,
    handover_s=3,
    first_pause_s=0.1,
    longest_pause_s=0.5,
    look_around_s=2,
)
