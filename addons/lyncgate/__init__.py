"""lyncgate: a reverse proxy that knows Lync, and shows how every sign-in went."""

__version__ = "0.1.0"
