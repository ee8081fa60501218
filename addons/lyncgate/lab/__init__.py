"""The embedded estate: a front-end pool, its directory, and a phone. Real sockets, TLS and NTLM.

    topology, scenario, directory      what there is; who there is, and what they may do; how they are found
    authority, ports, plan  certificates, port numbers, what all processes of a lab agree on
    web, ntlm, tickets      an HTTP server, Windows authentication on it, web tickets
    usercertificates, meetings, websettings     what tickets and certificates are given for
    call                    what a service is given; the services:
        autodiscover, webticket, oauthtoken, certprov, addressbook, content
        mobility                UCWA; its state: ucwa; on the wire: ucwaformat, ucwabatch; what there is:
                                ucwaresources, ucwapeople
        mcx                     its state: mcxsessions; its wire form, a guess: lync.mcx
        channel, enrolment, presence, messages, apppool      what these two share
    sip, sipauth, sipmessage, sipstream, registrar
    dns                     what phones outside and inside are told when they look a name up
    faults                  what can go wrong, on purpose
    inside                  SIP between servers by mutual TLS, push, traces
    pool, frontend, accessedge, officewebapps, estate, rules     all of it together
    phones, phone, report                          the other side; what it is made of: lyncgate.client

What is verified by real clients and what is our guess is said where it is: SIPE, curl and
requests-ntlm sign in to it (tests/lab/test_sipe.py), `ucwa` too (tests/lab/test_ucwa_client.py).
"""
