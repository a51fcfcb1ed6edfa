"""The headers of pages: what a browser may load and run, and what may be kept."""

from hansa.web.site import Site

PUBLIC = "public, no-cache"
"""May be kept whole by everybody, and is asked for again with its ETag: a price that changed is shown at once."""
PRIVATE = "private, no-store"
OWN = "private, no-cache"
"""Kept by the visitor's own browser alone, for the way back."""


def of_page(site: Site) -> dict[str, str]:
    pictures = " ".join(("'self'", "data:", *(f"https://{host}" for host in site.picture_hosts)))
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": pictures,
        "connect-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
        "manifest-src": "'self'",
    }
    return {
        "content-security-policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=()",
        "cross-origin-opener-policy": "same-origin",
    }
