"""The embedded estate: a front-end pool, its directory, and a phone. Real sockets, TLS and NTLM."""
