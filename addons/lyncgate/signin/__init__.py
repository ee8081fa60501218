"""Events, the sign-ins stitched from them, and what is wrong with those. Pure: no I/O, no mitmproxy."""
