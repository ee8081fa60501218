"""The devices there are, by name."""

from __future__ import annotations

from lyncgate.lab.phones.android2010 import Android2010
from lyncgate.lab.phones.desktop import Desktop
from lyncgate.lab.phones.device import Device
from lyncgate.lab.phones.lync2013 import Lync2013
from lyncgate.lab.phones.wp75 import Wp75

DEVICES: dict[str, type[Device]] = {device.name: device for device in (Wp75, Android2010, Lync2013, Desktop)}
