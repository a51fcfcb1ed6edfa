"""Messages from commit to effect, and the bare clients of the same brokers: processes of their own, see the parts."""
