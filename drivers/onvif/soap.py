"""SOAP 1.2 as ONVIF devices speak it: envelopes out, replies and faults in.

Sources: ONVIF Core specification (fault codes, WS-UsernameToken), OASIS WS-Security UsernameToken Profile 1.0,
WS-Addressing 1.0. Replies are read by local names, see `drivers.transports.xml`.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from xml.sax.saxutils import escape

from lxml import etree

from bridge.errors import ProtocolError
from bridge.model import Credentials
from drivers.transports import xml
from drivers.transports.xml import Element

_WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
_WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
_DIGEST = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordDigest"
_BASE64 = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary"
WSA = "http://www.w3.org/2005/08/addressing"

_HEAD = b'<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope">'
_TAIL = b"</s:Body></s:Envelope>"

# Subcodes by which devices say that it is the credentials (Core 5.11.2.1 and what is seen in the field).
_AUTH_CODES = frozenset(
    {"NotAuthorized", "FailedAuthentication", "InvalidSecurity", "InvalidSecurityToken", "FailedCheck"}
)
_UNSUPPORTED_CODES = frozenset({"ActionNotSupported", "OptionalActionNotImplemented", "UnknownAction"})
# No slot is free (WS-BaseNotification 1.3, 4.2).
_FULL_CODES = frozenset({"SubscribeCreationFailedFault"})
_GONE_CODES = frozenset({"ResourceUnknownFault", "ResourceUnknown", "ResourceUnavailableFault", "InvalidTokenVal"})
_DURATION = re.compile(
    r"(-)?P(?:(\d{1,6})Y)?(?:(\d{1,6})M)?(?:(\d{1,6})D)?(?:T(?:(\d{1,8})H)?(?:(\d{1,8})M)?(?:(\d{1,10}(?:\.\d{1,9})?)S)?)?$"
)
_DATETIME = re.compile(
    r"(\d{4})-(\d\d?)-(\d\d?)T(\d\d?):(\d\d?):(\d\d?)(?:\.(\d{1,9}))?\s*(Z|[+-]\d\d:?\d\d)?$", re.IGNORECASE
)


class SoapFault(ProtocolError):
    """The device answered with a SOAP fault. `codes` are the local names of its code and subcodes."""

    def __init__(self, codes: Sequence[str], reason: str, detail: Element | None = None, status: int = 500) -> None:
        name = codes[-1] if codes else "fault"
        super().__init__(f"it refuses: {reason} ({name})" if reason else f"it refuses with {name}")
        self.codes = frozenset(codes)
        self.reason = reason
        self.fault_detail = detail
        self.status = status

    @property
    def is_auth(self) -> bool:
        if len(self.codes) < 2 and "not authorized" in self.reason.lower():
            return True  # where the Subcode is empty, the words are all there is
        return not self.codes.isdisjoint(_AUTH_CODES) or self.status in (401, 403)

    @property
    def is_unsupported(self) -> bool:
        if len(self.codes) < 2:
            # Small servers give no subcode and say it in words only.
            return any(words in self.reason.lower() for words in ("not supported", "not implemented"))
        return not self.codes.isdisjoint(_UNSUPPORTED_CODES)

    @property
    def is_full(self) -> bool:
        """It makes no more subscriptions."""
        return not self.codes.isdisjoint(_FULL_CODES)

    @property
    def is_gone(self) -> bool:
        """The thing it was asked about (a subscription) is not there any more."""
        return not self.codes.isdisjoint(_GONE_CODES) or self.status == 400


@lru_cache(maxsize=64)
def utc(second: int) -> str:
    """A second since the epoch as `2026-11-23T12:30:15Z`. Kept: cameras of one site ask in the same seconds."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def username_token(credentials: Credentials, created: float, nonce: bytes) -> bytes:
    """The Security header with a PasswordDigest. `created` is the device's time, seconds since the epoch.

    Second precision with `Z` and a nonce of 16 bytes: the one form that every known firmware takes (Hikvision
    refuses +00:00, others nanoseconds and long nonces).
    """
    stamp = utc(int(created))
    digest = hashlib.sha1(  # noqa: S324 - the profile says SHA-1
        nonce + stamp.encode() + credentials.password.reveal().encode()
    ).digest()
    return (
        f'<w:Security s:mustUnderstand="1" xmlns:w="{_WSSE}"><w:UsernameToken>'
        f"<w:Username>{escape(credentials.username)}</w:Username>"
        f'<w:Password Type="{_DIGEST}">{base64.b64encode(digest).decode()}</w:Password>'
        f'<w:Nonce EncodingType="{_BASE64}">{base64.b64encode(nonce).decode()}</w:Nonce>'
        f'<u:Created xmlns:u="{_WSU}">{stamp}</u:Created></w:UsernameToken></w:Security>'
    ).encode()


def addressing(action: str, to: str, message_id: str, reference_parameters: Sequence[bytes] = ()) -> bytes:
    """The WS-Addressing headers. Only for subscriptions: some firmware answers 404 or 500 to them elsewhere."""
    return (
        f'<a:Action xmlns:a="{WSA}" s:mustUnderstand="1">{escape(action)}</a:Action>'
        f'<a:MessageID xmlns:a="{WSA}">urn:uuid:{message_id}</a:MessageID>'
        f'<a:ReplyTo xmlns:a="{WSA}"><a:Address>{WSA}/anonymous</a:Address></a:ReplyTo>'
        f'<a:To xmlns:a="{WSA}" s:mustUnderstand="1">{escape(to)}</a:To>'
    ).encode() + b"".join(reference_parameters)


def reference_headers(reference: Element | None) -> tuple[bytes, ...]:
    """The reference parameters of an endpoint as headers to echo (WS-Addressing 1.0 SOAP Binding, 2.1).

    Axis keeps the subscription's id there and nowhere else.
    """
    found: list[bytes] = []
    parameters = xml.child(reference, "ReferenceParameters")
    if parameters is None:
        return ()
    for parameter in parameters:
        if isinstance(parameter.tag, str) and ":" not in parameter.tag.rpartition("}")[2]:
            parameter.set(f"{{{WSA}}}IsReferenceParameter", "true")
            parameter.tail = None
            found.append(etree.tostring(parameter))
    return tuple(found[:8])


def envelope(body: bytes, *headers: bytes) -> bytes:
    if not any(headers):
        return _HEAD + b"<s:Body>" + body + _TAIL
    return b"".join((_HEAD, b"<s:Header>", *headers, b"</s:Header><s:Body>", body, _TAIL))


def reply(data: bytes, status: int) -> Element:
    """The first element of the reply's Body. Raises SoapFault, and ProtocolError for what is no SOAP.

    SOAP 1.1 replies, undeclared prefixes and broken encodings are read all the same. An empty Body with status
    200 is returned as the Body element itself: the operation was ignored, and the caller knows what that means.
    """
    root = xml.parse(data)
    body = xml.child(root, "Body")
    if xml.local(root) != "Envelope" or body is None:
        raise ProtocolError("its answer is no SOAP envelope", data)
    first = next((one for one in body if isinstance(one.tag, str)), None)
    if first is None:
        if status >= 400:
            raise ProtocolError(f"it answers {status} with an empty envelope", data)
        return body
    if xml.local(first) == "Fault":
        raise _fault(first, status)
    return first


def _fault(fault: Element, status: int) -> SoapFault:
    codes = [
        one.text.strip().rpartition(":")[2]
        for part in fault
        if xml.local(part) in ("Code", "faultcode")
        for one in part.iter()
        if xml.local(one) in ("Value", "faultcode") and one.text and one.text.strip()
    ]
    reason = xml.text(fault, "Reason", "Text") or xml.text(fault, "faultstring")
    detail = xml.child(fault, "Detail")
    if detail is None:
        detail = xml.child(fault, "detail")
    return SoapFault(codes[:6], " ".join(reason.split())[:200], detail, status)


def duration(text: str) -> float | None:
    """Seconds of an xs:duration (a year is 365 days, a month 30), or None."""
    match = _DURATION.match(text.strip())
    if match is None or text.strip().rstrip("T") in ("P", "-P"):
        return None
    sign, years, months, days, hours, minutes, seconds = match.groups()
    total = (
        int(years or 0) * 365 * 86400
        + int(months or 0) * 30 * 86400
        + int(days or 0) * 86400
        + int(hours or 0) * 3600
        + int(minutes or 0) * 60
        + float(seconds or 0)
    )
    return -total if sign else total


def timestamp(text: str) -> float | None:
    """Seconds since the epoch of an xs:dateTime; UTC where it names no zone. None for what no calendar has
    (hour 25), but `2026-1-1T0:0:0Z` is read."""
    try:
        # The well-formed majority, in a tenth of the time.
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except ValueError:
        match = _DATETIME.match(text.strip())
    if match is None:
        return None
    *parts, fraction, zone = match.groups()
    try:
        seconds = datetime(*(int(part) for part in parts), tzinfo=UTC).timestamp()  # type: ignore[misc,arg-type]
    except ValueError:
        return None
    if fraction:
        seconds += float(f"0.{fraction}")
    if zone and zone.upper() != "Z":
        minutes = int(zone[1:3]) * 60 + int(zone[-2:])
        seconds -= (1 if zone[0] == "+" else -1) * minutes * 60
    return seconds
