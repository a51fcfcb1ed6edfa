"""What search does: it hears, keeps its index in step, finds and suggests."""

from hansa.services.search.service.search import SearchService

__all__ = ["SearchService"]
