"""The lane: how the edge moves bytes when nobody has to see bodies. Sockets, TLS and framing of its own; what
becomes of a request is the edge's course, as everywhere."""
