"""The devices there are, by name."""

from __future__ import annotations

from lyncgate.lab.phones.android2010 import Android2010
from lyncgate.lab.phones.device import Device
from lyncgate.lab.phones.lync2013 import Lync2013

DEVICES: dict[str, type[Device]] = {device.name: device for device in (Lync2013, Android2010)}
