"""Motion detection: the analytics service after ver20/analytics/wsdl, its rules and modules after Analytics, annex A.

An analytics configuration has the token of its channel's video source configuration. ActiveCells is kept as text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from lxml import etree

from drivers.onvif.simulated import reading
from drivers.onvif.simulated.settings import Module, Pairs, Rule
from drivers.onvif.simulated.soap import Call, SoapFault, attribute, children, content, invalid_value, local_name
from drivers.onvif.simulated.state import DeviceState, Source
from drivers.onvif.simulated.video_service import no_configuration

_MOST_RULES = 4
# Names and XML Schema types of the parameters.
_RULE_ITEMS = {
    "MinCount": "xs:integer",
    "AlarmOnDelay": "xs:integer",
    "AlarmOffDelay": "xs:integer",
    "ActiveCells": "xs:base64Binary",
}
_MODULE_ITEMS = {"Sensitivity": "xs:integer"}
_CELLS = re.compile(r"[A-Za-z0-9+/]+={0,2}", re.ASCII)
_LAYOUT = (
    '<tt:ElementItem Name="Layout"><tt:CellLayout Columns="22" Rows="18"><tt:Transformation>'
    '<tt:Translate x="-1" y="-1"/><tt:Scale x="0.0909" y="0.1111"/></tt:Transformation></tt:CellLayout>'
    "</tt:ElementItem>"
)


def _config(name: str, kind: str, items: Pairs, element: str, more: str = "") -> str:
    simple = "".join(f"<tt:SimpleItem Name={attribute(key)} Value={attribute(value)}/>" for key, value in items)
    return (
        f'<{element} Name={attribute(name)} Type="tt:{kind}"><tt:Parameters>{simple}{more}</tt:Parameters></{element}>'
    )


def _rules(state: DeviceState, token: str, element: str) -> str:
    return "".join(
        _config(key.partition("/")[2], rule.type, rule.items, element)
        for key, rule in state.settings.all(Rule).items()
        if key.startswith(f"{token}/")
    )


def _modules(state: DeviceState, token: str, element: str) -> str:
    return "".join(
        _config(key.partition("/")[2], module.type, module.items, element, _LAYOUT)
        for key, module in state.settings.all(Module).items()
        if key.startswith(f"{token}/")
    )


def configuration(state: DeviceState, source: Source, element: str) -> str:
    """A channel's tt:VideoAnalyticsConfiguration, "" for a device without analytics."""
    if not state.traits.analytics:
        return ""
    token = source.config_token
    return (
        f"<{element} token={attribute(token)}><tt:Name>{content(source.name)}</tt:Name>"
        f"<tt:UseCount>{len(state.profiles_of_source(source.token))}</tt:UseCount><tt:AnalyticsEngineConfiguration>"
        f"{_modules(state, token, 'tt:AnalyticsModule')}</tt:AnalyticsEngineConfiguration><tt:RuleEngineConfiguration>"
        f"{_rules(state, token, 'tt:Rule')}</tt:RuleEngineConfiguration></{element}>"
    )


def get_configurations(state: DeviceState, call: Call) -> str:
    """Media1's GetVideoAnalyticsConfigurations and Media2's GetAnalyticsConfigurations."""
    prefix, name = call.prefix, f"{call.operation}Response"
    inner = "".join(configuration(state, source, f"{prefix}:Configurations") for source in state.sources)
    return f"<{prefix}:{name}>{inner}</{prefix}:{name}>"


def _token(state: DeviceState, call: Call) -> str:
    token = reading.text(call.element, "ConfigurationToken")
    if token not in {source.config_token for source in state.sources}:
        raise no_configuration()
    return token


def get_rules(state: DeviceState, call: Call) -> str:
    return f"<tan:GetRulesResponse>{_rules(state, _token(state, call), 'tan:Rule')}</tan:GetRulesResponse>"


def get_modules(state: DeviceState, call: Call) -> str:
    inner = _modules(state, _token(state, call), "tan:AnalyticsModule")
    return f"<tan:GetAnalyticsModulesResponse>{inner}</tan:GetAnalyticsModulesResponse>"


def _described(items: Mapping[str, str], more: str = "") -> str:
    simple = "".join(f'<tt:SimpleItemDescription Name="{name}" Type="{kind}"/>' for name, kind in items.items())
    return f"<tt:Parameters>{simple}{more}</tt:Parameters>"


def get_supported_rules(state: DeviceState, call: Call) -> str:
    _token(state, call)
    sources = "".join(
        f'<tt:SimpleItemDescription Name="{name}" Type="{kind}"/>'
        for name, kind in (
            ("VideoSourceConfigurationToken", "tt:ReferenceToken"),
            ("VideoAnalyticsConfigurationToken", "tt:ReferenceToken"),
            ("Rule", "xs:string"),
        )
    )
    return (
        "<tan:GetSupportedRulesResponse><tan:SupportedRules>"
        f'<tt:RuleDescription Name="tt:CellMotionDetector">{_described(_RULE_ITEMS)}<tt:Messages IsProperty="true">'
        f'<tt:Source>{sources}</tt:Source><tt:Data><tt:SimpleItemDescription Name="IsMotion" Type="xs:boolean"/>'
        "</tt:Data><tt:ParentTopic>tns1:RuleEngine/CellMotionDetector/Motion</tt:ParentTopic></tt:Messages>"
        "</tt:RuleDescription></tan:SupportedRules></tan:GetSupportedRulesResponse>"
    )


def get_supported_modules(state: DeviceState, call: Call) -> str:
    _token(state, call)
    layout = '<tt:ElementItemDescription Name="Layout" Type="tt:CellLayout"/>'
    return (
        "<tan:GetSupportedAnalyticsModulesResponse><tan:SupportedAnalyticsModules>"
        f'<tt:AnalyticsModuleDescription Name="tt:CellMotionEngine">{_described(_MODULE_ITEMS, layout)}'
        "</tt:AnalyticsModuleDescription></tan:SupportedAnalyticsModules></tan:GetSupportedAnalyticsModulesResponse>"
    )


def _given(call: Call, name: str) -> list[etree._Element]:
    found = [child for child in children(call.element) if local_name(child) == name]
    if not found:
        raise reading.invalid_args(f"{name} is missing")
    return found


def _read_items(element: etree._Element) -> dict[str, str]:
    return {
        item.get("Name", ""): item.get("Value", "")
        for item in children(reading.needed(element, "Parameters"))
        if local_name(item) == "SimpleItem"
    }


def _checked(element: etree._Element, kind: str, before: Pairs, known: Mapping[str, str], subcode: str) -> Pairs:
    """The parameters after a write: those that are not in it stay."""
    given = _read_items(element)
    if element.get("Type", "").rpartition(":")[2] != kind or not given.keys() <= known.keys():
        raise invalid_value(subcode, f"It is of type tt:{kind} and has the parameters {', '.join(known)}")
    items = {**dict(before), **given}
    for name, value in items.items():
        if name == "ActiveCells":
            good = _CELLS.fullmatch(value) is not None
        else:
            good = value.isdecimal() and len(value) < 10 and (name != "Sensitivity" or int(value) <= 100)
        if not good:
            raise invalid_value(subcode, f"{name} cannot be set to that value")
    return tuple(items.items())


def modify_rules(state: DeviceState, call: Call) -> str:
    token = _token(state, call)
    changed: dict[str, Rule] = {}
    for element in _given(call, "Rule"):
        key = f"{token}/{element.get('Name', '')}"
        old = state.settings.get(Rule, key)
        if old is None:
            raise invalid_value("RuleNotExistent", "The rule does not exist")
        changed[key] = Rule(old.type, _checked(element, old.type, old.items, _RULE_ITEMS, "InvalidRule"))
    for key, rule in changed.items():
        state.put(key, rule)
    return "<tan:ModifyRulesResponse/>"


def create_rules(state: DeviceState, call: Call) -> str:
    token = _token(state, call)
    known = [key for key in state.settings.all(Rule) if key.startswith(f"{token}/")]
    made: dict[str, Rule] = {}
    for element in _given(call, "Rule"):
        key = f"{token}/{element.get('Name', '')}"
        if key in known or key in made or not element.get("Name"):
            raise invalid_value("RuleAlreadyExistent", "A rule needs a name of its own")
        items = _checked(element, "CellMotionDetector", (), _RULE_ITEMS, "InvalidRule")
        if len(items) != len(_RULE_ITEMS):
            raise invalid_value("InvalidRule", f"The parameters are {', '.join(_RULE_ITEMS)}")
        made[key] = Rule("CellMotionDetector", items)
    if len(known) + len(made) > _MOST_RULES:
        raise SoapFault("Receiver", ("ter:Action", "ter:TooManyRules"), "There is not enough space for the rules")
    for key, rule in made.items():
        state.put(key, rule)
    return "<tan:CreateRulesResponse/>"


def delete_rules(state: DeviceState, call: Call) -> str:
    token = _token(state, call)
    keys = [f"{token}/{(element.text or '').strip()}" for element in _given(call, "RuleName")]
    if not set(keys) <= state.settings.all(Rule).keys():
        raise invalid_value("RuleNotExistent", "The rule does not exist")
    for key in keys:
        state.drop(Rule, key)
    return "<tan:DeleteRulesResponse/>"


def modify_modules(state: DeviceState, call: Call) -> str:
    token = _token(state, call)
    changed: dict[str, Module] = {}
    for element in _given(call, "AnalyticsModule"):
        key = f"{token}/{element.get('Name', '')}"
        old = state.settings.get(Module, key)
        if old is None:
            raise invalid_value("NameNotExistent", "The analytics module does not exist")
        changed[key] = Module(old.type, _checked(element, old.type, old.items, _MODULE_ITEMS, "InvalidModule"))
    for key, module in changed.items():
        state.put(key, module)
    return "<tan:ModifyAnalyticsModulesResponse/>"
