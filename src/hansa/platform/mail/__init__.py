"""Mail: one port, and two ways out: files in a folder, and SMTP."""
