"""Content-hashed media: pictures made safe and small, kept under names that say what is in them, and served."""
