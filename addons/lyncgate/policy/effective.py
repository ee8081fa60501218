"""The rules with every default filled in, as YAML: what is in force, where rules.yaml is silent.

It is itself a rules.yaml: loading it again gives the same policy.
"""

from __future__ import annotations

import yaml

from lyncgate.policy.model import Rules


def effective(rules: Rules) -> str:
    """YAML text, keys in the order of the documentation."""
    data = rules.model_dump(mode="json", by_alias=True, exclude_none=True)
    text: str = yaml.safe_dump(data, sort_keys=False, default_flow_style=False, allow_unicode=True, width=100)
    return text
