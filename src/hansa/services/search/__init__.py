"""Search: what everybody may look for, found by words, narrowed by facets."""
