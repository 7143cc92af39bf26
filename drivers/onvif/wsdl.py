"""onvif-zeep's WSDL files: found, parsed once a process, and turned into request bodies.

Stock use of onvif-zeep parses them for every camera: 14 MB and 0.6 s of CPU each. Here all cameras share one
parsed document a service; a message is built by zeep once and then kept as bytes.

The files are not always where onvif-zeep looks: its setup.py installs them as data files for the Python that built
the wheel, so that `pip install --target`, Debian's layout or a wheel built elsewhere put them in another place, or
nowhere. `problem()` says so before anything else happens.
"""

from __future__ import annotations

import importlib.metadata
import logging
import threading
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from lxml import etree

PACKAGE = "onvif-zeep"
NEEDED = (
    "devicemgmt.wsdl",
    "media.wsdl",
    "events.wsdl",
    "imaging.wsdl",
    "analytics.wsdl",
    "onvif.xsd",
    "b-2.xsd",
    "bw-2.wsdl",
    "rw-2.wsdl",
)


class Service(NamedTuple):
    """A SOAP binding: the file it is in and its qualified name."""

    wsdl: str
    binding: str


def _services() -> dict[str, Service]:
    definitions = _onvif_definitions()
    known = {
        name: Service(entry["wsdl"], f"{{{entry['ns']}}}{entry['binding']}") for name, entry in definitions.items()
    }
    # onvif-zeep has no names for these bindings that its WSDLs define.
    events = definitions["events"]["ns"]
    known["subscription"] = Service("events.wsdl", f"{{{events}}}SubscriptionManagerBinding")
    known["notification"] = Service("events.wsdl", f"{{{events}}}NotificationProducerBinding")
    known["rules"] = Service("analytics.wsdl", f"{{{definitions['analytics']['ns']}}}RuleEngineBinding")
    return known


def _onvif_definitions() -> dict[str, dict[str, str]]:
    # Importing onvif calls logging.basicConfig(INFO), which would print every library's chatter to stderr;
    # it does nothing when the root logger has a handler.
    root = logging.getLogger()
    guard = logging.NullHandler()
    root.addHandler(guard)
    try:
        from onvif.definition import SERVICES
    finally:
        root.removeHandler(guard)
    return dict(SERVICES)


@cache
def directory() -> Path:
    """The folder of the WSDL files. Raises FileNotFoundError with what to do about it."""
    try:
        distribution = importlib.metadata.distribution(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        raise FileNotFoundError(
            f"the package {PACKAGE} is not installed in this environment: pip install {PACKAGE}==0.2.12"
        ) from None
    recorded = [file for file in distribution.files or () if file.name == "devicemgmt.wsdl"]
    looked = [Path(str(distribution.locate_file(file))).resolve().parent for file in recorded]
    looked.append(Path(str(distribution.locate_file("wsdl"))).resolve())
    for place in looked:
        if all((place / name).is_file() for name in NEEDED):
            return place
    raise FileNotFoundError(
        f"{PACKAGE} {distribution.version} is installed without its WSDL files (looked in "
        f"{', '.join(str(place) for place in dict.fromkeys(looked))}). Some installers drop or misplace them "
        f"(pip install --target, wheels built for another Python). Mend it with: "
        f"pip install --force-reinstall --no-cache-dir --no-binary {PACKAGE} {PACKAGE}==0.2.12"
    )


def problem() -> str | None:
    """What is wrong with the installation, and how to mend it; None when all is well."""
    try:
        directory()
    except FileNotFoundError as error:
        return str(error)
    return None


@cache
def _document(wsdl: str) -> Any:
    from zeep import Settings
    from zeep.transports import Transport
    from zeep.wsdl import Document

    settings = Settings(strict=False, xml_huge_tree=False, forbid_external=True)
    transport: Any = Transport
    return Document(str(directory() / wsdl), transport(operation_timeout=1), settings=settings)


@cache
def _binding(service: str) -> Any:
    known = _services()[service]
    return _document(known.wsdl).bindings[known.binding]


class Message(NamedTuple):
    """A request: the SOAP Body's content, and the action that goes with it."""

    body: bytes
    action: str


def fresh(service: str, operation: str, **arguments: Any) -> Message:
    """A request built by zeep from its WSDL, for arguments that hardly ever come again."""
    built = _binding(service).get(operation)
    body = built.create(**arguments).content.find("{*}Body")
    return Message(b"".join(etree.tostring(part) for part in body), built.soapaction or "")


@lru_cache(maxsize=512)
def message(service: str, operation: str, **arguments: str | int | bool) -> Message:
    """The same, kept: for what is sent over and over."""
    return fresh(service, operation, **arguments)


_parsing = threading.Lock()


def warm_up() -> None:
    """Parse what every camera needs. Takes a fraction of a second of CPU: call it in a thread."""
    # Many drivers open at the same time: one parses, the others find it done.
    with _parsing:
        for service in ("devicemgmt", "media", "events", "pullpoint", "subscription", "notification"):
            _binding(service)


def warm_up_settings() -> None:
    """The same for what is needed only where templates are applied."""
    warm_up()
    with _parsing:
        for service in ("imaging", "analytics", "rules"):
            _binding(service)
