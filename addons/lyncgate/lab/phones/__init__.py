"""Phones: devices that sign in over real TCP, TLS and NTLM, one at a time or a crowd of them.

line, ticket, discovery     what all of them do: connections, web tickets, finding the pool
device                      what a phone is; a file each: lync2013
"""
