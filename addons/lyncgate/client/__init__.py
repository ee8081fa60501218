"""What clients of a Lync deployment are made of, the lab's phones and the probe: names, DNS, TLS, HTTP,
NTLM."""
