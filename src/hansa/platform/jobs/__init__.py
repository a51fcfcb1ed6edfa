"""Periodic and resumable work. `periodic`: again and again; `soon`: at once, without anybody waiting."""
