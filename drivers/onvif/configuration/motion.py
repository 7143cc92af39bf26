"""Motion detection in the device: the Analytics service (version 2), its cell motion engine.

`enabled` can be read: a rule that detects cell motion is there. It is not written, because a rule that is deleted takes
its areas with it, and nobody could bring them back.
"""

from __future__ import annotations

from collections.abc import Iterator

from bridge.errors import Rejected
from bridge.settings.limits import Between, Fixed, Limit
from bridge.settings.plan import Step
from bridge.settings.vocabulary import MotionDetection, Value
from drivers.onvif import wsdl
from drivers.onvif.configuration.messages import copied, number, renamed, request, text
from drivers.onvif.configuration.unit import ANALYTICS, NOTHING, Told, Unit
from drivers.transports import xml
from drivers.transports.xml import Element


async def read(unit: Unit, section: str) -> Told:
    token = unit.profile.analytics
    if ANALYTICS not in unit.client.paths or not token:
        return NOTHING
    modules = await unit.ask(ANALYTICS, wsdl.message("analytics", "GetAnalyticsModules", ConfigurationToken=token))
    rules = await unit.ask(ANALYTICS, wsdl.message("rules", "GetRules", ConfigurationToken=token))
    values: dict[str, Value] = {}
    limits: dict[str, Limit] = {}
    if rules is not None:
        found = (one for one in xml.children(rules, "Rule") if _type(one) == "CellMotionDetector")
        values["motion_detection.enabled"] = next(found, None) is not None
        limits["motion_detection.enabled"] = Fixed()
    for item in _sensitivities(modules):
        raw = number(item.get("Value", ""))
        if raw is not None and 0 <= raw <= 100:
            values["motion_detection.sensitivity"] = round(raw)
            limits["motion_detection.sensitivity"] = Between(0, 100, 1)
            break
    return Told(values, limits)


async def write(unit: Unit, step: Step) -> bool:
    wanted = step.after.motion_detection or MotionDetection()
    token = unit.profile.analytics
    told = await unit.must(ANALYTICS, wsdl.message("analytics", "GetAnalyticsModules", ConfigurationToken=token))
    for module in xml.children(told, "AnalyticsModule"):
        changed = copied(module)
        for item in _sensitivities_of(changed):
            item.set("Value", str(wanted.sensitivity))
            message = request(
                ANALYTICS,
                "ModifyAnalyticsModules",
                text("ConfigurationToken", token),
                renamed(changed, ANALYTICS, "AnalyticsModule"),
            )
            await unit.tell(ANALYTICS, message)
            return False
    raise Rejected("it no longer tells how sensitive its motion detection is")


def _type(rule: Element) -> str:
    return rule.get("Type", "").rpartition(":")[2]


def _sensitivities(modules: Element | None) -> Iterator[Element]:
    for module in xml.children(modules, "AnalyticsModule"):
        yield from _sensitivities_of(module)


def _sensitivities_of(module: Element) -> Iterator[Element]:
    if _type(module) == "CellMotionEngine":
        for item in xml.children(xml.child(module, "Parameters"), "SimpleItem"):
            if item.get("Name") == "Sensitivity":
                yield item
