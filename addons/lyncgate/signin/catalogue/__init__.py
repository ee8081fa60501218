"""What goes wrong with sign-ins, as data: fifty entries with their symptoms (protocol reference §10).

look            what can be asked of one event, in a word each
scene           a sign-in laid out for looking at
entry           what an entry is
names, connections, discovery, homes, logon, tickets, mobility, affinity, notifications    the entries
catalogue       all of them by code
"""
