"""Scenario files for tests."""

from __future__ import annotations

from lyncgate.lab.scenario.load import load_scenario
from lyncgate.lab.scenario.scenario import Scenario

OFFICE = r"""
version: 1
organization: Fabrikam
sites: [amsterdam, london]
pools:
  pool01: {site: amsterdam}
  pool02: {site: london}
policies:
  mobility:
    global: {EnableOutsideVoice: false}
    "site:london": {EnablePushNotifications: false}
    NoMobility: {EnableMobility: false}
  voice:
    Reception: {AllowSimulRing: false, EnableTeamCall: false}
  client:
    NoFaces: {DisplayPhoto: NoPhoto}
    "site:london": {MaxPhotoSizeKB: 0}
dial_plans:
  "site:london":
    rules: [{pattern: '^(\d{4})$', translation: "+4420555$1", internal: true}]
  Warehouse:
    external_access_prefix: "9"
    rules: [{pattern: '^9(\d+)$', translation: "+$1"}]
users:
  alice@contoso.example:
    pool: pool01
    upn: a.adams@contoso.example
    password: Correct-horse-1
    name: Alice Adams
    line: tel:+31205550101
    title: Engineer
    contacts:
      Team: [bob@contoso.example, carol@emea.contoso.example]
      Friends: [bob@contoso.example]
  bob@contoso.example:
    pool: pool01
    presence: Busy
    photo: false
    voicemail: false
    line: tel:+31205550102
    devices: [wp75, desktop]
    grants: {mobility: NoMobility, voice: Reception, client: NoFaces, dial_plan: Warehouse}
  carol@emea.contoso.example: {pool: pool02}
  erin@contoso.example: {pool: pool02, grants: {mobility: NoMobility}}
  "user[08-11]@contoso.example": {pool: pool01, name: "User {n}", line: "tel:+312055502{n}"}
  user09@contoso.example: {pool: pool02}
"""


def office(text: str = OFFICE) -> Scenario:
    scenario, problems = load_scenario(text, "office.yaml")
    assert scenario is not None, problems
    return scenario
