"""A capture in stock mitmproxy tools, which show every flow as it is, secrets included:

    mitmweb  -s addons/capture.py --mode reverse:https://tmg.contoso.example@443
    mitmdump -s addons/capture.py --mode wireguard --set journal=today.db

Sign-ins and their stages go to the journal; read it with `lyncgate signins --journal today.db`. The same
events as those of `lyncgate capture`, but without its gateway, and no phone that knows TLS 1.0 only.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # the package lies beside this file, installed or not

from lyncgate.engine.capture.stock import StockCapture

addons = [StockCapture()]
