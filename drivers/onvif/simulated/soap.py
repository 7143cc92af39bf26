"""SOAP 1.2 as a device speaks it: requests read, replies and faults written.

Replies are written once, with the prefixes that the ONVIF documents use, and `render` gives them the prefixes of one
make. Sources: SOAP 1.2 part 1; ONVIF Core, "SOAP errors"; WS-Addressing 1.0; WS-BaseNotification 1.3, WS-BaseFaults.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from lxml import etree

from drivers.onvif.simulated.makes import Make

NAMESPACES = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "tds": "http://www.onvif.org/ver10/device/wsdl",
    "trt": "http://www.onvif.org/ver10/media/wsdl",
    "tr2": "http://www.onvif.org/ver20/media/wsdl",
    "tev": "http://www.onvif.org/ver10/events/wsdl",
    "timg": "http://www.onvif.org/ver20/imaging/wsdl",
    "tan": "http://www.onvif.org/ver20/analytics/wsdl",
    "tmd": "http://www.onvif.org/ver10/deviceIO/wsdl",
    "tt": "http://www.onvif.org/ver10/schema",
    "ter": "http://www.onvif.org/ver10/error",
    "tns1": "http://www.onvif.org/ver10/topics",
    "tnsav": "http://www.onvif.org/ver10/topics/vendor/analytics",
    "wsa": "http://www.w3.org/2005/08/addressing",
    "wsnt": "http://docs.oasis-open.org/wsn/b-2",
    "wstop": "http://docs.oasis-open.org/wsn/t-1",
    "wsrf-rw": "http://docs.oasis-open.org/wsrf/rw-2",
    "wsrf-bf": "http://docs.oasis-open.org/wsrf/bf-2",
    "dom0": "http://www.axis.com/2009/event",
    "xs": "http://www.w3.org/2001/XMLSchema",
    "wsse": "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd",
    "wsu": "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd",
}
SOAP11 = "http://schemas.xmlsoap.org/soap/envelope/"
FAULT_ACTION = "http://www.w3.org/2005/08/addressing/soap/fault"
# What a gSOAP server declares on each envelope, used or not.
_GSOAP = ("s", "xs", "wsa", "tds", "trt", "tr2", "tev", "tt", "tns1", "wsnt", "wstop", "ter")
# A prefix is what stands before a colon and a name, and is not the tail of something longer ("https:", "/s:b").
_PREFIX = re.compile(r"(?<![\w.\-:])(?<![^<]/)(" + "|".join(map(re.escape, NAMESPACES)) + r"):(?=[A-Za-z_])")


class SoapFault(Exception):
    """A fault: `code` is Sender or Receiver, `subcodes` are QNames from the outside in, `detail` is XML."""

    def __init__(
        self, code: str, subcodes: tuple[str, ...], reason: str, *, status: int | None = None, detail: str = ""
    ) -> None:
        super().__init__(reason)
        self.code = code
        self.subcodes = subcodes
        self.reason = reason
        # SOAP 1.2 part 2, table 20: a Sender fault travels as 400, any other as 500.
        self.status = status or (400 if code == "Sender" else 500)
        self.detail = detail


class BareReply(Exception):
    """An answer that is a status line and nothing else."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def not_supported(operation: str) -> SoapFault:
    return SoapFault("Receiver", ("ter:ActionNotSupported",), f"Optional Action Not Implemented: {operation}")


def invalid_value(subcode: str, reason: str) -> SoapFault:
    return SoapFault("Sender", ("ter:InvalidArgVal", f"ter:{subcode}"), reason)


def notification_fault(name: str, reason: str, now: str, extra: str = "", *, prefix: str = "wsnt") -> SoapFault:
    """A fault of WS-BaseNotification (`wsnt`) or WS-ResourceFramework (`wsrf-rw`), its message in the Detail.

    Core asks for env:Receiver and HTTP 500 for all of them.
    """
    detail = f"<{prefix}:{name}><wsrf-bf:Timestamp>{now}</wsrf-bf:Timestamp>{extra}</{prefix}:{name}>"
    return SoapFault("Receiver", (f"{prefix}:{name}",), reason, detail=detail)


@dataclass(frozen=True, slots=True)
class Call:
    """A request: the operation, and what came with it."""

    prefix: str  # of its namespace, as in NAMESPACES; "" for a namespace that no service here has
    operation: str
    element: etree._Element
    header: etree._Element | None

    @property
    def addressed(self) -> bool:
        """Whether any WS-Addressing header came along."""
        return self.header is not None and any(
            isinstance(child.tag, str) and child.tag.startswith(f"{{{NAMESPACES['wsa']}}}") for child in self.header
        )

    def addressing(self, name: str) -> str:
        """The text of a WS-Addressing header, "" when it is not there."""
        if self.header is None:
            return ""
        return (self.header.findtext(f"{{{NAMESPACES['wsa']}}}{name}") or "").strip()

    def text(self, *path: str) -> str | None:
        """The text below the operation along local names; None when there is no such element."""
        found = self.find(*path)
        return None if found is None else (found.text or "").strip()

    def find(self, *path: str) -> etree._Element | None:
        return find(self.element, *path)


_BY_URI = {uri: prefix for prefix, uri in NAMESPACES.items()}


def children(element: etree._Element | None) -> Iterable[etree._Element]:
    """The child elements, without comments and processing instructions."""
    return () if element is None else (child for child in element if isinstance(child.tag, str))


def find(element: etree._Element | None, *path: str) -> etree._Element | None:
    """What lies below an element along local names; None when there is no such element."""
    for name in path:
        element = next((child for child in children(element) if local_name(child) == name), None)
    return element


def local_name(element: etree._Element) -> str:
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def parse(body: bytes) -> Call:
    """Read a request. SoapFault when it is no SOAP 1.2 message; a DTD is refused like any malformed text."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise SoapFault("Sender", ("ter:WellFormed",), "Well-formed Error") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise SoapFault("Sender", ("ter:WellFormed",), "A DTD has no place in a SOAP message")
    namespace = NAMESPACES["s"]
    if root.tag != f"{{{namespace}}}Envelope":
        raise SoapFault("VersionMismatch", (), "SOAP version mismatch")
    element = next(iter(children(root.find(f"{{{namespace}}}Body"))), None)
    if element is None:
        raise SoapFault("Sender", ("ter:Tag",), "No Tag")
    uri = etree.QName(element).namespace or ""
    return Call(_BY_URI.get(uri, ""), local_name(element), element, root.find(f"{{{namespace}}}Header"))


def render(body: str, make: Make, *, header: str = "", undeclared: Collection[str] = ()) -> bytes:
    """An envelope in the prefixes of a make. `undeclared` prefixes are used and not declared, as some devices do."""
    inner = f"<s:Header>{header}</s:Header>" if header else ""
    text = f"{inner}<s:Body>{body}</s:Body>"
    used = {"s", *_PREFIX.findall(text), *(_GSOAP if make.declares_all else ())}
    declarations = []
    for prefix in sorted(used.difference(undeclared)):
        name = make.prefixes.get(prefix, prefix)
        declarations.append(f' xmlns{":" if name else ""}{name}="{NAMESPACES[prefix]}"')
    if make.prefixes:
        text = _PREFIX.sub(lambda match: _renamed(make, match[1]), text)
    envelope = f"{_renamed(make, 's')}Envelope"
    return f"{make.declaration}<{envelope}{''.join(declarations)}>{text}</{envelope}>".encode()


def _renamed(make: Make, prefix: str) -> str:
    name = make.prefixes.get(prefix, prefix)
    return f"{name}:" if name else ""


def render_fault(
    fault: SoapFault, make: Make, *, undeclared: Collection[str] = (), empty_subcode: bool = False
) -> bytes:
    """A SOAP 1.2 fault, in the shape of Core's example."""
    subcode = ""
    for name in reversed(fault.subcodes):
        subcode = f"<s:Subcode><s:Value>{name}</s:Value>{subcode}</s:Subcode>"
    if empty_subcode:
        subcode = "<s:Subcode/>"
    detail = f"<s:Detail>{fault.detail}</s:Detail>" if fault.detail else ""
    body = (
        f"<s:Fault><s:Code><s:Value>s:{fault.code}</s:Value>{subcode}</s:Code>"
        f'<s:Reason><s:Text xml:lang="en">{escape(fault.reason)}</s:Text></s:Reason>{detail}</s:Fault>'
    )
    return render(body, make, undeclared=undeclared)


def addressing_header(call: Call, action: str) -> str:
    """The WS-Addressing headers of a reply; Core wants them for events."""
    relates = call.addressing("MessageID")
    return f"<wsa:Action>{action}</wsa:Action>" + (
        f"<wsa:RelatesTo>{escape(relates[:200])}</wsa:RelatesTo>" if relates else ""
    )


def simple_items(items: Iterable[tuple[str, str]]) -> str:
    """`tt:SimpleItem` elements of a notification."""
    return "".join(f"<tt:SimpleItem Name={attribute(name)} Value={attribute(value)}/>" for name, value in items)


def attribute(value: str) -> str:
    """Quoted; what only looks like a prefix is hidden from `render`, and comes back as it was when parsed."""
    return _hidden(quoteattr(value))


def content(value: str) -> str:
    """The same for the text of an element, for whatever a client may have written."""
    return _hidden(escape(value))


def boolean(value: bool) -> str:
    return "true" if value else "false"


def _hidden(text: str) -> str:
    return text.replace(":", "&#58;") if _PREFIX.search(text) else text
