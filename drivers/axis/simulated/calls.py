"""The call service of a simulated door station: `/vapix/call`, in JSON and in the simple format."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote_plus

from drivers.axis.simulated.unit import Unit

_LONGEST = 64
_DIGITS = frozenset("0123456789ABCD*#")


class Fault(Exception):
    """An answer of HTTP 400. `sender`: what was asked is wrong."""

    def __init__(self, code: str, reason: str, message: str | None = None, *, sender: bool = True) -> None:
        super().__init__(reason)
        self.body = {
            "Fault": "env:Sender" if sender else "env:Receiver",
            "FaultCode": code,
            "FaultSubCode": None,
            "FaultReason": reason,
            "FaultMsg": message,
        }


class CallService:
    """`registered`: whether the registrar has it."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self.registered = True
        self.writes = 0

    def answer(self, action: str, given: dict[str, Any]) -> dict[str, Any]:
        unit = self._unit
        name = action.removeprefix("axcall:")
        self.writes += name.startswith("Set")
        match name:
            case "GetServiceCapabilities":
                return {"Capabilities": {"SIP": True, "DTMF": True, "AudioCodec": True, "Attribute": True}}
            case "GetSIPConfiguration":
                return {"SIPConfiguration": unit.sip}
            case "SetSIPConfiguration":
                self._configure(given.get("SIPConfiguration"))
                return {}
            case "GetSIPAccounts":
                return {"SIPAccount": [unit.account]}
            case "SetSIPAccount":
                return {"SIPAccountId": self._set_account(given.get("SIPAccount"))}
            case "GetSIPAccountStatus":
                if given.get("SIPAccountId") != unit.account["Id"]:
                    raise Fault("ter:InvalidArgVal", "Not found")
                return {"SIPAccountStatus": self._status()}
            case "GetSIPAccountStatuses":
                return {"SIPAccountStatus": [self._status()]}
            case "GetDTMFTriggers":
                return {"DTMFTrigger": [unit.trigger]}
            case "SetDTMFTrigger":
                return {"DTMFTriggerId": self._set_trigger(given.get("DTMFTrigger"))}
            case _:
                raise Fault("ter:ActionNotSupported", "Not supported", sender=False)

    def _status(self) -> dict[str, Any]:
        unit = self._unit
        on, registrar = unit.sip["SIPEnabled"], unit.account["Registrar"] or unit.account["PublicDomain"]
        well = bool(on and registrar and self.registered)
        text = "SIP disabled" if not on else "Does not register" if not registrar else "OK" if well else "Timeout"
        return {
            "SIPAccountId": unit.account["Id"],
            "SIPURI": f"sip:{unit.account['UserId']}@{unit.account['PublicDomain']}",
            "IsDefault": True,
            "RegURI": registrar or "",
            "Status": 200 if well else 0 if not on or not registrar else 408,
            "StatusText": text,
        }

    def _configure(self, wanted: object) -> None:
        known = self._unit.sip
        if not isinstance(wanted, dict) or not wanted:
            raise Fault("ter:InvalidArgs", "Missing data")
        for name, value in wanted.items():
            if name not in known:
                raise Fault("ter:TagMismatch", "Tag mismatch", f"Unhandled field: '{name}'")
            if type(value) is not type(known[name]):
                raise Fault("ter:InvalidArgVal", "Invalid argument", f"{name} has the wrong type")
        if not 1 <= wanted.get("CallingTimeout", 60) <= 600:
            raise Fault("ter:InvalidArgVal", "Invalid argument", "CallingTimeout should be <= 600")
        known.update(wanted)  # KeepCurrent is true if it is not said

    def _set_account(self, wanted: object) -> str:
        account = self._unit.account
        if not isinstance(wanted, dict) or not wanted.get("UserId"):
            raise Fault("ter:InvalidArgs", "Missing data")
        if wanted.get("Id") != account["Id"]:
            raise Fault("ter:Action", "Failed to add the SIP account", sender=False)
        if any(isinstance(value, str) and len(value) > 255 for value in wanted.values()):
            raise Fault("ter:InvalidArgVal", "Invalid argument")
        # What an account is not said to have is what a new one has.
        empty: dict[str, Any] = {"Password": "", "Registrar": "", "PublicDomain": "", "CallerId": "", "Attribute": []}
        self._unit.account = {**empty, "IsDefault": True, "Transport": "udp", **wanted}
        return str(account["Id"])

    def _set_trigger(self, wanted: object) -> str:
        if not isinstance(wanted, dict) or wanted.get("Id") != self._unit.trigger["Id"]:
            raise Fault("ter:InvalidArgs", "Missing data")
        sequence = wanted.get("DTMFSequence")
        if not isinstance(sequence, str) or len(sequence) > _LONGEST or not set(sequence) <= _DIGITS:
            raise Fault("ter:InvalidArgVal", "Invalid argument")
        self._unit.trigger = dict(wanted)
        return str(wanted["Id"])


def simple(answer: dict[str, Any]) -> str:
    """An answer as `key=value` lines: levels are joined by `_`, texts are in quotes and URL-encoded."""
    return "".join(f"{key}={value}\r\n" for key, value in _flat("", answer))


def _flat(prefix: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [pair for key, inner in value.items() for pair in _flat(f"{prefix}_{key}" if prefix else key, inner)]
    if isinstance(value, list):
        return [pair for number, inner in enumerate(value) for pair in _flat(f"{prefix}_{number}", inner)]
    if value is None or isinstance(value, bool):
        return [(prefix, {None: "null", True: "true", False: "false"}[value])]
    return [(prefix, str(value) if isinstance(value, int) else f'"{quote_plus(value)}"')]
