"""The probe: walks a sign-in's stages as a client would, against a deployment, and says what it saw.

    plan, check              what is to be done; what is said: a verdict a line, all of them. Pure.
    answer, judge            an answer, and the event made of it; what answers are worth. Pure.
    record                   lines and events of a run; events are those of `lyncgate.signin`
    names, net, doors, web   DNS; TCP and TLS; hosts, each looked at once; HTTP. All I/O is here
    kit                      these, as every step has them
    discovery, ticket, mobility, mcx     the stages, in order
    pages                    what lies beside them
    walk                     all of it together

It asks politely: one request after the other, nothing twice that changes anything, one proof of a password
a pool. What it makes (a UCWA application) it deletes.
"""
