"""Periodic and resumable work: `periodic` again and again, `soon` at once with nobody waiting, `worker` in a thread."""
