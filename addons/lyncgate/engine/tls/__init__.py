"""TLS of the edge: what Python's ssl module leaves out."""
