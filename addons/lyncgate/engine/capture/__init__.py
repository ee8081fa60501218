"""Interception for troubleshooting: full mitmproxy, whose flows become events. Never part of an edge: here
certificates are minted, there never."""
