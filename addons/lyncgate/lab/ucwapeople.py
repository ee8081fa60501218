"""UCWA's people: contacts, groups, presence, photos, search (UCWA: people_ref, contact_ref, myGroups_ref).

    people/contacts[?groupId=1]      the buddy list, or one group of it
    people/groups, people/groups/1   groups; …/subscriptions subscribes to the presence of one
    people/bob@contoso.example       a contact; …/presence, …/note, …/location, …/supportedMedia, …
    people/search?query=bob          who has this in the name or address
    people/presenceSubscriptions     whose presence is an event; they don't end by themselves, as real ones do
    photos/bob@contoso.example       the picture

What an application may see of somebody is what SIP gives its owner: no photo if the client policy shows
none.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from lyncgate.lab.call import Call
from lyncgate.lab.directory import User
from lyncgate.lab.enrolment import Enrolment
from lyncgate.lab.presence import presence_of
from lyncgate.lab.ucwa import Application, Json
from lyncgate.lab.ucwaformat import UcwaError
from lyncgate.lab.web import Response
from lyncgate.lync.contacts import ContactGroup

PEOPLE_LINKS = {  # relation → path below people/
    "myContacts": "contacts",
    "myContactsAndGroupsSubscription": "contactsAndGroupsSubscription",
    "myGroupMemberships": "groupMemberships",
    "myGroups": "groups",
    "presenceSubscriptions": "presenceSubscriptions",
    "search": "search",
    "subscribedContacts": "subscribedContacts",
}
CONTACT_LINKS = {
    "contactLocation": "location",
    "contactNote": "note",
    "contactPresence": "presence",
    "contactPrivacyRelationship": "privacyRelationship",
    "contactSupportedModalities": "supportedMedia",
}
PHONE_PROPERTIES = {
    "work": "workPhoneNumber",
    "home": "homePhoneNumber",
    "mobile": "mobilePhoneNumber",
    "other": "otherPhoneNumber",
}
MOST_FOUND = 100
SUBSCRIPTION_MINUTES = range(10, 31)  # UCWA:presenceSubscriptions_ref


def link(href: str) -> Json:
    """A link."""
    return {"href": href}


def people(application: Application) -> Json:
    """The hub: nothing but links."""
    base = f"{application.base}/people"
    links = {relation: link(f"{base}/{path}") for relation, path in PEOPLE_LINKS.items()}
    return {"rel": "people", "_links": {"self": link(base), **links}}


class People:
    """Everybody, as one application sees them."""

    def __init__(self, call: Call, application: Application, enrolment: Enrolment) -> None:
        self._application = application
        self._base = f"{application.base}/people"
        self._call = call
        self._directory = call.pool.directory
        self._viewer = enrolment.user
        self._buddies = enrolment.contacts

    def get(self, path: tuple[str, ...], query: dict[str, str]) -> Json:
        """A resource below people/. `path`, names of `query`: lower-case. Raises UcwaError."""
        match path:
            case ():
                return people(self._application)
            case ("contacts",):
                group = query.get("groupid")
                return self._collection("myContacts", "contacts", self._in_group(group) if group else None)
            case ("subscribedcontacts",):
                watched = {sip for sips in self._application.subscriptions.values() for sip in sips}
                return self._collection("subscribedContacts", "subscribedContacts", sorted(watched))
            case ("groups",):
                groups = [self._group(group) for group in self._buddies.groups]
                return self._with("myGroups", "groups", {"group": groups})
            case ("groups", number):
                return self._group(self._find_group(number))
            case ("groupmemberships",):
                return self._with("myGroupMemberships", "groupMemberships", {"myGroupMembership": []})
            case ("search",):
                return self._collection("search", "search", self._search(query.get("query", "")))
            case ("presencesubscriptions",):
                every = [self._subscription(name) for name in self._application.subscriptions]
                return self._with(
                    "presenceSubscriptions", "presenceSubscriptions", {"presenceSubscription": every}
                )
            case ("contactsandgroupssubscription",):
                return {"state": "Connected", **self._with("myContactsAndGroupsSubscription", path[0], {})}
            case (sip,):
                return self._contact(self._find(sip))
            case (sip, part):
                return self._part(self._find(sip), part)
        raise _no_such_resource()

    def post(self, path: tuple[str, ...], properties: dict[str, list[str]]) -> tuple[int, Json | None]:
        """Subscribe: status and resource. Raises UcwaError."""
        match path:
            case ("presencesubscriptions",):
                minutes = (properties.get("duration") or [""])[0]
                if not (minutes.isdecimal() and int(minutes) in SUBSCRIPTION_MINUTES):
                    raise UcwaError(400, "ParameterValidationFailure", "duration has to be 10 to 30.")
                uris = (uri.strip(' "').lower().removeprefix("sip:") for uri in properties.get("uris", ()))
                return 201, self._subscribe(uris)
            case ("groups", number, "subscriptions"):
                return 201, self._subscribe(self._in_group(number))
            case ("contactsandgroupssubscription",):
                return 204, None
        raise _no_such_resource()

    def unsubscribe(self, name: str) -> None:
        """End a presence subscription. Raises UcwaError."""
        if self._application.subscriptions.pop(name, None) is None:
            raise _no_such_resource()

    def photo(self, sip: str) -> Response:
        """The picture of somebody. Raises UcwaError."""
        of = self._find(sip)
        picture = self._directory.scenario.photo(of)
        shown = presence_of(self._call.pools, self._viewer, of).card.photo
        if picture is None or shown is None:
            raise _no_such_resource()
        return Response(200, [("Content-Type", "image/png"), ("ETag", f'"{shown.hash}"')], picture)

    def _find(self, sip: str) -> User:
        user = self._directory.by_sip(sip)
        if user is None:
            raise _no_such_resource()
        return user

    def _find_group(self, number: str) -> ContactGroup:
        found = next((group for group in self._buddies.groups if str(group.id) == number), None)
        if found is None:
            raise _no_such_resource()
        return found

    def _in_group(self, number: str) -> list[str]:
        group = self._find_group(number)
        return [contact.sip for contact in self._buddies.contacts if group.id in contact.groups]

    def _search(self, text: str) -> list[str]:
        wanted = text.lower()
        if not wanted:
            raise UcwaError(400, "ParameterValidationFailure", "query is missing.")
        users = self._directory.users
        return [u.sip for u in users if wanted in u.sip or wanted in u.display_name.lower()][:MOST_FOUND]

    def _subscribe(self, addresses: Iterable[str]) -> Json:
        name = secrets.token_hex(4)
        self._application.subscriptions[name] = frozenset(a for a in addresses if self._directory.by_sip(a))
        return self._subscription(name)

    # resources

    def _with(self, rel: str, path: str, embedded: Json) -> Json:
        return {"rel": rel, "_links": {"self": link(f"{self._base}/{path}")}, "_embedded": embedded}

    def _collection(self, rel: str, path: str, addresses: Iterable[str] | None) -> Json:
        if addresses is None:
            addresses = (contact.sip for contact in self._buddies.contacts)
        found = (self._directory.by_sip(sip) for sip in addresses)
        return self._with(rel, path, {"contact": [self._contact(user) for user in found if user]})

    def _subscription(self, name: str) -> Json:
        own = f"{self._base}/presenceSubscriptions/{name}"
        return {"rel": "presenceSubscription", "id": name, "_links": {"self": link(own)}}

    def _group(self, group: ContactGroup) -> Json:
        own = f"{self._base}/groups/{group.id}"
        links = {
            "self": link(own),
            "groupContacts": link(f"{self._base}/contacts?groupId={group.id}"),
            "subscribeToGroupPresence": link(f"{own}/subscriptions"),
        }
        return {"rel": "group", "id": str(group.id), "name": group.name, "_links": links}

    def _contact(self, user: User) -> Json:
        card = presence_of(self._call.pools, self._viewer, user).card
        own = f"{self._base}/{user.sip}"
        links = {relation: link(f"{own}/{path}") for relation, path in CONTACT_LINKS.items()}
        if card.photo:
            links["contactPhoto"] = link(f"{self._application.base}/photos/{user.sip}")
        texts: Json = {
            "company": card.company,
            "department": card.department,
            "office": card.office,
            "title": card.title,
        }
        phones = {PHONE_PROPERTIES[p.kind]: p.uri for p in card.phones if p.kind in PHONE_PROPERTIES}
        return {
            "rel": "contact",
            "uri": f"sip:{user.sip}",
            "name": card.display_name,
            "type": "User",
            "sourceNetwork": "SameEnterprise",
            "emailAddresses": [card.email],
            **{name: text for name, text in texts.items() if text},
            **phones,
            "_links": {"self": link(own), **links},
        }

    def _part(self, user: User, part: str) -> Json:
        presence = presence_of(self._call.pools, self._viewer, user)
        content: dict[str, Json] = {
            "presence": {
                "rel": "contactPresence",
                "availability": presence.availability.name,
                "deviceType": "Desktop",
                **({"activity": presence.activity} if presence.activity else {}),
            },
            "note": {"rel": "contactNote", "message": "", "type": "Personal"},
            "location": {"rel": "contactLocation", "location": presence.card.office},
            "supportedmedia": {"rel": "contactSupportedModalities", "modalities": ["Messaging"]},
            "privacyrelationship": {
                "rel": "contactPrivacyRelationship",
                "relationshipLevel": "Colleagues",
            },
        }
        if part not in content:
            raise _no_such_resource()
        return {**content[part], "_links": {"self": link(f"{self._base}/{user.sip}/{part}")}}


def _no_such_resource() -> UcwaError:
    return UcwaError(404, "ResourceNotFound", "The resource does not exist.")
