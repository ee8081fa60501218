"""Runs the PyPI client `ucwa` 0.3.0 in a process of its own: python ucwa_client.py < {"user": …, …}

Its code is used as published. What has to be done around it (real-clients reference §3):

- it asks a hard-coded host of Office 365 for the root document: that name is made to be the lab's
  lyncdiscover, asked for the form it understands, which that host gives unasked;
- a header value is a UUID object, which today's `requests` refuses: uuid1 returns text here;
- it signs in at Azure AD: it is handed a token of the lab instead.

Where names lead is in `connect`: [[host glob, port, address, real port], …]; names that match nothing don't
exist. One line of JSON says what came of it.
"""

import fnmatch
import json
import sys
import uuid
import warnings
from collections.abc import Callable

import requests
import ucwa.actions as client
import urllib3.connection

HARD_CODED = "https://webdir.online.lync.com/"


def main() -> None:
    """Discover, create an application, make it available, read an event."""
    order = json.load(sys.stdin)
    _lead_to(order["connect"])
    uuid1 = uuid.uuid1
    client.uuid.uuid1 = lambda: str(uuid1())
    client.requests.get = _as_the_lab_has_it(requests.get)
    warnings.simplefilter(
        "ignore", urllib3.exceptions.InsecureRequestWarning
    )  # it never verifies but the root

    domain = order["user"].partition("@")[2]
    config = {"redirect_uri": order["origin"]}
    xframe, user, root = client.do_autodiscover(domain)
    form = {"grant_type": "password", "username": order["user"], "password": order["password"]}
    token = requests.post(f"{root}/WebTicket/oauthtoken", form, verify=False, timeout=10).json()[
        "access_token"
    ]
    discovered = client.do_user_discovery(root, token, config)
    applications = discovered["_links"]["applications"]["href"]
    pool = applications.partition("/ucwa/")[0]
    application = client.register_application(pool, token, config)
    identifier = application["_links"]["self"]["href"].rpartition("/")[2]
    client.set_available(pool, identifier, token, config)
    events = client.oauth_stream_request(
        pool + application["_links"]["events"]["href"], token, order["origin"]
    )
    said = {"xframe": xframe, "user": user, "applications": applications, "events": events.json()}
    print(json.dumps(said))


def _as_the_lab_has_it(get: Callable[..., requests.Response]) -> Callable[..., requests.Response]:
    def get_here(url: str, **options: object) -> requests.Response:
        if url.startswith(HARD_CODED):
            options["headers"] = {"Accept": "application/json"}
            url = url.replace(HARD_CODED, "https://lyncdiscover.contoso.example/")
        return get(url, **options)

    return get_here


def _lead_to(rules: list[tuple[str, int, str | None, int | None]]) -> None:
    create = urllib3.connection.connection.create_connection

    def create_connection(address, *arguments, **keywords):
        host, port = address
        for glob, wanted, real_host, real_port in rules:
            if fnmatch.fnmatchcase(host, glob) and wanted in (None, port) and real_host:
                return create((real_host, real_port), *arguments, **keywords)
        raise OSError(f"{host}: no such name")

    urllib3.connection.connection.create_connection = create_connection


if __name__ == "__main__":
    main()
