"""The vocabulary all services share: pure, without input or output."""
