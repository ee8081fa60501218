"""DNS of the estate: what phones outside and inside are told when they look a name up.

zone      records and how a question is answered from them; pure
estate    the estate's zones: one for phones outside, one for those inside
server    UDP and TCP on loopback, a listening address for each view, and the query log

Who asks it: lyncgate.client.dns.
"""
