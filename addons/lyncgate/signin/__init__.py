"""Events, and later the sign-ins stitched from them. Pure: no I/O, no mitmproxy."""
