"""Phones: devices that sign in over real TCP, TLS and NTLM, one at a time or a crowd of them.

    line, ticket, discovery, certificate     what devices do alike: connections, web tickets, finding the pool
    device                                   what a phone is
    mcx; wp75, android2010                   the phones of Lync 2010
    lync2013, desktop                        UCWA; tickets and a certificate only
    devices                                  all of them by name
    target, crowd, summary                   where they go, many of them, how it went: `lyncgate phone`

| device      | protocol | notifications | certificate | stages it can't see |
| ----------- | -------- | ------------- | ----------- | ------------------- |
| wp75        | MCX      | push, poll    | yes         |                     |
| android2010 | MCX      | poll          | no          |                     |
| lync2013    | UCWA     | poll          | no          | the dial plan, and most of provisioning |
| desktop     | (SIP)    |               | yes         | from register on    |

What of the stages happens inside the pool, REGISTER on 5087 and SUBSCRIBE, only a trace shows; a phone
sees what the mobility service makes of it.
"""
