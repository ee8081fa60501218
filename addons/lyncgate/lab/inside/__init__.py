"""What happens inside the pool when a phone signs in: SIP over mutual TLS between its servers.

    tls         both sides show a certificate of the lab's authority
    trust       how the registrar challenges a mobility service, and is answered (our guess)
    client      requests over one connection
    server      a front end's inside port: REGISTER, SUBSCRIBE
    documents   the bodies that the registrar hands out
    mobility    MobilityRegistrar: how MCX and UCWA sign a user in, and the only way

A front end is given an `Inside` (front end side: `Inside.of`); a service finds it as `call.inside`:

    registered = await call.inside.mcx.sign_in(user, location=call.location, endpoint=device_id)
    registered.provisioning           # XML, as the registrar sent it
    await call.inside.mcx.sign_out(registered)
"""
