"""UCWA's application and me: what a client finds in the answer to its POST, and below its links.

Shapes: UCWA application_ref, me_ref, policies_ref, callForwardingSettings_ref, phones_ref. Only what the lab
serves is linked to. What a phone may do comes from the mobility policy and from the in-band provisioning
that the service fetched for it.
"""

from __future__ import annotations

from lyncgate.lab.enrolment import Enrolment
from lyncgate.lab.ucwa import Application, Json
from lyncgate.lab.ucwapeople import link, people
from lyncgate.lync.contacts import Availability

AVAILABILITIES = {  # PreferredAvailability of UCWA → what others see
    "online": Availability.Online,
    "busy": Availability.Busy,
    "donotdisturb": Availability.DoNotDisturb,
    "berightback": Availability.BeRightBack,
    "away": Availability.Away,
    "offwork": Availability.Away,
}


def application(app: Application, enrolment: Enrolment) -> Json:
    """The whole tree that a client starts from."""
    base = app.base
    return {
        "rel": "application",
        "culture": app.properties["culture"],
        "userAgent": app.properties["useragent"],
        "_links": {
            "self": link(base),
            "batch": link(f"{base}/batch"),
            "events": link(app.events_path),
            "policies": link(f"{base}/policies"),
        },
        "_embedded": {
            "me": me(app, enrolment),
            "people": people(app),
            "communication": communication(app),
            "onlineMeetings": online_meetings(app),
        },
    }


def me(app: Application, enrolment: Enrolment) -> Json:
    """The user. Before makeMeAvailable there is a link to it; after, links to what others see."""
    base, user = f"{app.base}/me", enrolment.user
    relations = ["callForwardingSettings", "phones", "reportMyActivity"]
    relations += ["location", "note", "presence"] if app.available else ["makeMeAvailable"]
    links = {relation: link(f"{base}/{relation}") for relation in relations}
    if user.photo:
        links["photo"] = link(f"{app.base}/photos/{user.sip}")
    texts: Json = {"department": user.department, "officeLocation": user.office, "title": user.title}
    if user.line:
        texts["workPhoneNumber"] = user.line
    return {
        "rel": "me",
        "name": user.display_name,
        "uri": f"sip:{user.sip}",
        "endpointUri": f"sip:{user.sip};opaque=user:epid:{enrolment.registered.epid};gruu",
        "emailAddresses": [user.sip],
        **{name: text for name, text in texts.items() if text},
        "_links": {"self": link(base), **links},
    }


def communication(app: Application) -> Json:
    """What can be said and heard here: text only."""
    return {
        "rel": "communication",
        "supportedModalities": list(app.modalities),
        "supportedMessageFormats": ["Plain"],
        "_links": {"self": link(f"{app.base}/communication")},
    }


def policies(app: Application, enrolment: Enrolment) -> Json:
    """The mobility policy, as UCWA tells it: without its name, with words of its own."""
    policy, told = enrolment.granted.policy, enrolment.provisioning
    voicemail = {"voicemailUri": told.voicemail_uri} if told.voicemail_uri else {}
    return {
        "rel": "policies",
        "audioOnlyOnWifi": _word(policy.require_wifi_for_ip_audio),
        "videoOnlyOnWifi": _word(policy.require_wifi_for_ip_video),
        "sharingOnlyOnWifi": _word(policy.require_wifi_for_sharing),
        "saveCallLogs": _word(policy.allow_save_call_logs),
        "saveMessagingHistory": _word(policy.allow_save_im_history),
        "saveCredentials": _word(policy.allow_save_credentials),
        "clientExchangeConnectivity": _word(policy.allow_exchange_connectivity),
        "exchangeUnifiedMessaging": _word(bool(voicemail)),
        "photos": _word(told.photo_usage != "NoPhoto"),
        "emoticons": _word(True),
        "htmlMessaging": _word(False),
        "messagingUrls": _word(True),
        "telephonyMode": _telephony(enrolment),
        **voicemail,
        "_links": {"self": link(f"{app.base}/policies")},
    }


def _telephony(enrolment: Enrolment) -> str:
    """Words of UCWA's GenericPolicy pages are few: AudioVideo and Uc were seen; the others are our guess."""
    if enrolment.granted.policy.enable_ip_audio_video:
        return "Uc" if enrolment.user.line else "AudioVideo"
    return "PhoneAudio" if enrolment.granted.policy.enable_outside_voice and enrolment.user.line else "None"


def call_forwarding(app: Application, enrolment: Enrolment) -> Json:
    """Rules for calls: none is set in the lab; what may be set comes from provisioning's ucPolicy."""
    base, told = f"{app.base}/me/callForwardingSettings", enrolment.provisioning
    embedded: Json = {}
    for allowed, rel in (
        (told.call_forwarding, "immediateForwardSettings"),
        (told.simultaneous_ring, "simultaneousRingSettings"),
        (told.call_forwarding, "unansweredCallSettings"),
    ):
        if allowed:
            embedded[rel] = {"rel": rel, "target": "None", "_links": {"self": link(f"{base}/{rel}")}}
    return {
        "rel": "callForwardingSettings",
        "activePeriod": "Always",
        "activeSetting": "None",
        "unansweredCallHandling": _word(told.voicemail_uri is not None),
        "_links": {"self": link(base)},
        "_embedded": embedded,
    }


def phones(app: Application, enrolment: Enrolment) -> Json:
    """The user's numbers."""
    base, line = f"{app.base}/me/phones", enrolment.user.line
    work = {
        "rel": "phone",
        "number": line,
        "type": "work",
        "includeInContactCard": True,
        "_links": {"self": link(f"{base}/work")},
    }
    return {"rel": "phones", "_links": {"self": link(base)}, "_embedded": {"phone": [work] if line else []}}


def presence(app: Application, availability: Availability) -> Json:
    """The user's own."""
    own = link(f"{app.base}/me/presence")
    return {"rel": "presence", "availability": availability.name, "_links": {"self": own}}


def online_meetings(app: Application) -> Json:
    """The lab has no meetings."""
    return {"rel": "onlineMeetings", "_links": {"self": link(f"{app.base}/onlineMeetings")}}


def said(app: Application, rel: str) -> Json:
    """`note` or `location` of the user."""
    name = "message" if rel == "note" else rel
    return {"rel": rel, name: app.said.get(rel, ""), "_links": {"self": link(f"{app.base}/me/{rel}")}}


def _word(truth: bool) -> str:
    return "Enabled" if truth else "Disabled"
