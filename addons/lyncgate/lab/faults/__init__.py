"""What can go wrong, on purpose: `lyncgate lab --fault F20,F37=5` (protocol reference §10).

    fault       what a fault is: words, and effects, which are data
    steps       small pieces that effects on requests are made of
    badproxy    a reverse proxy that does what a fault tells it to; it stands where the edge would
    discovery, tls, tickets, mobility      the faults
    catalogue   all of them, how they are chosen, and those that one machine can't have
    table       the catalogue for people

A fault changes the lab at four places, each of which asks `Faults` one question: the DNS zones, what a web
site does with a request, who and what the directory knows, and what stands between phones and pool. A lab
without faults gets back what it asked with.
"""
