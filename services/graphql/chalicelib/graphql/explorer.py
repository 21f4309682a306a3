"""GraphiQL as one page that needs nothing else; `services/graphql/explorer` builds it."""

import html
from pathlib import Path

HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "public, max-age=300",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""What the page may do beyond it says itself, where the hashes of its scripts are known."""
_PAGE = Path(__file__).with_name("explorer.html")


def page(socket_url: str) -> str:
    """Knows where subscriptions are: an address, or a path below the page's own."""
    return _PAGE.read_text().replace("__SOCKET_URL__", html.escape(socket_url), 1)
