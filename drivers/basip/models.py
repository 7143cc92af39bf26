"""What panels can do, by model and firmware, as data. What a panel tells of itself goes before this table.

From the vendor's API pages (developers.bas-ip.com: Android panels, Linux ("camdroid") panels) and what operators
found. Models are matched by their beginning, the longest first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Model:
    """`locks`: lock outputs, where it does not tell. `camera`: it has one. `v1_from`: the first firmware that speaks
    API v1."""

    locks: int = 2
    camera: bool = True
    v1_from: tuple[int, int] = (0, 0)


_ANDROID = Model(v1_from=(3, 9))  # v0 up to firmware 3.7.0
_SINGLE = Model(v1_from=(3, 0))
_BLIND = Model(camera=False)

MODELS: dict[str, Model] = {
    "AA-": _ANDROID,
    "AA-07BD": Model(),  # Linux, unlike AA-07FB
    "AV-": _SINGLE,
    "AV-02FDR": _BLIND,
    "AV-02FDE": _BLIND,
    "AV-02ID": _BLIND,
    "AV-02IPD": _BLIND,
    "AV-04AFD": _BLIND,
    "AV-04ASD": _BLIND,
    "AV-08FB": _ANDROID,
    "BA-": Model(),
    "BI-": _ANDROID,
    "CR-": _BLIND,
}


def model_of(name: str) -> Model:
    """What is known of a model; of one that is not in the table, what most can do."""
    upper = name.upper()
    found = max((one for one in MODELS if upper.startswith(one)), key=len, default=None)
    return MODELS[found] if found is not None else Model()


def generation(name: str, firmware: str, api_version: str) -> str:
    """The API generation to begin with, "v0" or "v1": what the panel says, else what its firmware is known for."""
    told = re.match(r"v?(\d+)", api_version)
    if told and int(told[1]) == 0:
        return "v0"
    version = re.match(r"(\d+)\.(\d+)", firmware)
    if version and (int(version[1]), int(version[2])) < model_of(name).v1_from:
        return "v0"
    return "v1"
