"""The front page: banners, what is new, what sells best, and the categories, kept ready from others' events."""
