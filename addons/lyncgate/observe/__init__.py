"""Metrics, access log and the admin listener: all read from exchanges."""
