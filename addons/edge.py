"""The edge in stock mitmproxy tools:

    mitmdump -s addons/edge.py --set rules=rules.yaml
    mitmweb  -s addons/edge.py --set rules=rules.yaml

The same addons, listeners and layers as `lyncgate serve`, with the tools' own full flows beside them:
handy to look inside, slow, and not for production (no drain, no admin listener). Listeners come from
rules.yaml; the tool's own --mode is not used, and with `-n` it does not open its own port (8080) first.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # the package lies beside this file, installed or not

from lyncgate.engine.stock import StockEdge

addons = [StockEdge()]
