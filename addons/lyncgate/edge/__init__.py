"""The mitmproxy addons, one concern a file, in the order in which a request meets them."""
