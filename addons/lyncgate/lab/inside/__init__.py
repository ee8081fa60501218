"""What happens inside when a phone signs in: SIP over mutual TLS between servers, and what they write of it.

    tls         both sides show a certificate of the lab's authority
    client      requests to another server; a link that is made anew when it was lost
    trust       how the registrar challenges a mobility service, and is answered (our guess)
    documents   what SUBSCRIBE is answered with: provisioning, buddy list, presence
    server      a front end's inside port: REGISTER, SUBSCRIBE, MESSAGE to send on
    mobility    MobilityRegistrar: how MCX and UCWA sign a user in, and the only way
    member      all that of one front end
    forward     the way out: front end, Access Edge, federated partner
    push        the partner: a push relay, and a device's line to it
    trace       one text file a server, as OCSLogger shows it

A web service has it as `call.inside`:

    registered = await call.inside.mcx.sign_in(user, location=call.location, endpoint=device_id)
    registered.provisioning           # XML, as the registrar sent it
    await call.inside.mcx.push(registered, token, {"text": "…"})
    await call.inside.mcx.sign_out(registered)
    call.inside.tracer.line("MCXService", "McxSession::Poll", "…")
"""
