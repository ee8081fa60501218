"""Policies of a user: their settings, defaults, and who gets which.

Settings have Microsoft's own names (`EnableMobility`), so that what is written here can be compared with
what Get-CsMobilityPolicy and its sisters print. Every policy exists once globally, may exist for a site,
and may be granted to a user; the nearest one wins *whole*, settings of several are never mixed. (Scopes:
protocol reference §5.6. That the user's wins over the site's over the global one is the usual Lync rule,
not read in a source.)
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import Literal

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_pascal

from lyncgate.lync.provisioning import Properties
from lyncgate.policy.section import Section

GLOBAL = "global"
SITE = "site:"


class Scope(enum.StrEnum):
    """How far a policy reaches."""

    GLOBAL = "global"
    SITE = "site"
    USER = "user"


@dataclasses.dataclass(frozen=True, slots=True)
class Granted[P]:
    """The policy that a user has. `name`: as the scenario has it: `global`, `site:london`, or its own."""

    policy: P
    name: str
    scope: Scope


def resolve[P](policies: Mapping[str, P], default: P, site: str | None, grant: str | None) -> Granted[P]:
    """What a user of `site` has to whom `grant` was granted, or nothing. `default`: the global policy when
    the scenario has none; there always is one."""
    if grant is not None:
        return Granted(policies[grant], grant, Scope.USER)
    if site is not None and (of_site := policies.get(SITE + site)) is not None:
        return Granted(of_site, SITE + site, Scope.SITE)
    return Granted(policies.get(GLOBAL, default), GLOBAL, Scope.GLOBAL)


class Policy(Section):
    """Settings of one policy, each under Microsoft's name."""

    model_config = ConfigDict(alias_generator=to_pascal)

    def properties(self) -> Properties:
        """The settings as provisioning writes them."""
        return {name: provisioned(value) for name, value in self.model_dump(by_alias=True).items()}


def provisioned(value: object) -> str:
    """`true`, `30`, `AllPhotos`."""
    return str(value).lower() if isinstance(value, bool) else str(value)


class MobilityPolicy(Policy):
    """May the user sign in from a phone, and with what (CsMobilityPolicy; protocol reference §5.6)."""

    enable_mobility: bool = Field(default=True, description="May sign in from a phone at all.")
    enable_outside_voice: bool = Field(
        default=True, description="Call via Work; also needs `AllowSimulRing` of the voice policy."
    )
    enable_ip_audio_video: bool = Field(
        default=True, alias="EnableIPAudioVideo", description="Voice and video over IP (2013)."
    )
    require_wifi_for_ip_audio: bool = Field(
        default=False, alias="RequireWiFiForIPAudio", description="Voice over IP on Wi-Fi only (2013)."
    )
    require_wifi_for_ip_video: bool = Field(
        default=False, alias="RequireWIFIForIPVideo", description="Video over IP on Wi-Fi only (2013)."
    )
    require_wifi_for_sharing: bool = Field(
        default=False,
        alias="RequireWiFiForSharing",
        description="Sharing on Wi-Fi only (Skype for Business).",
    )
    enable_push_notifications: bool = Field(
        default=True, description="Push to phones; Microsoft documents it for Online only."
    )
    allow_save_call_logs: bool = Field(default=True, description="Keep a call log (2015).")
    allow_save_im_history: bool = Field(
        default=True, alias="AllowSaveIMHistory", description="Keep messages on the phone (2015)."
    )
    allow_save_credentials: bool = Field(default=True, description="Keep the password on the phone (2015).")
    allow_exchange_connectivity: bool = Field(default=True, description="Ask Exchange (2015).")


class VoicePolicy(Policy):
    """Features of Enterprise Voice (CsVoicePolicy)."""

    allow_simul_ring: bool = Field(default=True, description="Another phone may ring with the user's own.")
    allow_call_forwarding: bool = Field(default=True, description="Calls may be forwarded.")
    enable_delegation: bool = Field(default=True, description="Others may call and answer for the user.")
    enable_team_call: bool = Field(default=True, description="Calls may ring at the user's team.")
    enable_call_transfer: bool = Field(default=True, description="Calls may be handed on.")
    enable_call_park: bool = Field(default=False, description="Calls may be parked.")
    enable_malicious_call_tracing: bool = Field(default=False, description="Malicious calls may be reported.")
    enable_bw_policy_override: bool = Field(
        default=False, alias="EnableBWPolicyOverride", description="Bandwidth limits don't apply."
    )

    def properties(self) -> Properties:
        """Two settings have another name in provisioning than in the cmdlet (UCMA, ucPolicy)."""
        wire = {
            "AllowSimulRing": "AllowSimultaneousRinging",
            "EnableMaliciousCallTracing": "EnableMaliciousCallTrace",
        }
        return {wire.get(name, name): text for name, text in super().properties().items()}


class ClientPolicy(Policy):
    """How contacts and their photos are shown (CsClientPolicy)."""

    display_photo: Literal["NoPhoto", "PhotosFromADOnly", "AllPhotos"] = Field(
        default="AllPhotos", description="Which photos are shown; `NoPhoto`: contact cards carry none."
    )
    max_photo_size_kb: int = Field(
        default=30, alias="MaxPhotoSizeKB", ge=0, le=100, description="Largest photo in KB; 0: none."
    )
    show_recent_contacts: bool = Field(default=True, description="A group of recent contacts.")
    show_manage_privacy_relationships: bool = Field(
        default=False, description="Privacy relationships in the menu."
    )
    address_book_availability: Literal["WebSearchAndFileDownload", "WebSearchOnly", "FileDownloadOnly"] = (
        Field(default="WebSearchAndFileDownload", description="How the address book is searched.")
    )

    def properties(self) -> Properties:
        """Two settings have another name in provisioning than in the cmdlet ([MS-SIPREGE] §4.2.2, UCMA)."""
        wire = {"DisplayPhoto": "PhotoUsage", "AddressBookAvailability": "ABSUsage"}
        return {wire.get(name, name): text for name, text in super().properties().items()}


class LocationPolicy(Policy):
    """Emergency calls (CsLocationPolicy)."""

    enhanced_emergency_services_enabled: bool = Field(default=False, description="Send the location along.")
    location_policy_tag_id: str = Field(
        default="user-tagid", alias="LocationPolicyTagID", description="Goes into the location that is sent."
    )


class PresencePolicy(Policy):
    """Limits of presence (CsPresencePolicy)."""

    max_category_subscription: int = Field(
        default=1000, ge=0, le=3000, description="Subscriptions a user may have."
    )
    max_prompted_subscriber: int = Field(
        default=200, ge=0, le=600, description="Unanswered notices a user may have."
    )


class ConferencingPolicy(Policy):
    """What a meeting may hold (CsConferencingPolicy)."""

    allow_ip_audio: bool = Field(default=True, alias="AllowIPAudio", description="Voice over IP.")
    allow_ip_video: bool = Field(default=True, alias="AllowIPVideo", description="Video.")
    enable_data_collaboration: bool = Field(default=True, description="Whiteboards, polls, presentations.")
    max_meeting_size: int = Field(default=250, ge=2, description="People in a meeting.")
