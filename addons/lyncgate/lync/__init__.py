"""What we know about Lync: names, paths, stages, documents. Sans-I/O: bytes in, values out.

Sources are cited where a fact is used: MS-OCDISCWS, MS-OCAUTHWS, UCWA documentation, the Lync
Server 2013 library, and what real clients were seen to do. Guesses are marked as such.
"""
