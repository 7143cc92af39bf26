"""The device's clock, its NTP servers, its name and its network, after devicemgmt.wsdl."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import replace
from datetime import UTC, datetime

from lxml import etree

from drivers.onvif.simulated import reading
from drivers.onvif.simulated.quirks import Quirk
from drivers.onvif.simulated.settings import DeviceClock, Hostname, Ntp
from drivers.onvif.simulated.soap import Call, boolean, children, content, find, invalid_value, local_name
from drivers.onvif.simulated.state import DeviceState
from drivers.onvif.simulated.times import to_utc
from drivers.onvif.simulated.zones import parse_zone

_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)", re.ASCII)
_MOST_SERVERS = 4


def get_system_date_and_time(state: DeviceState, call: Call) -> str:
    now, clock, quirks = state.now(), state.settings.the(DeviceClock), state.quirks
    parts = ""
    if Quirk.NO_DATETIME not in quirks:
        if Quirk.LOCAL_TIME_ONLY not in quirks:
            parts = _date_time(state, "UTCDateTime", to_utc(now))
        parts += _date_time(state, "LocalDateTime", to_utc(now + state.utc_offset))
    return (
        f"<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime><tt:DateTimeType>{clock.mode}</tt:DateTimeType>"
        f"<tt:DaylightSavings>{boolean(clock.daylight_savings)}</tt:DaylightSavings>"
        f"<tt:TimeZone><tt:TZ>{content(_shown_zone(state, clock))}</tt:TZ></tt:TimeZone>"
        f"{parts}</tds:SystemDateAndTime></tds:GetSystemDateAndTimeResponse>"
    )


def _date_time(state: DeviceState, name: str, at: datetime) -> str:
    hour = str(at.hour)
    if Quirk.HOUR_25 in state.quirks:
        hour = "25"
    elif Quirk.EMPTY_HOUR in state.quirks:
        hour = ""
    return (
        f"<tt:{name}><tt:Time><tt:Hour>{hour}</tt:Hour><tt:Minute>{at.minute}</tt:Minute>"
        f"<tt:Second>{at.second}</tt:Second></tt:Time><tt:Date><tt:Year>{at.year}</tt:Year>"
        f"<tt:Month>{at.month}</tt:Month><tt:Day>{at.day}</tt:Day></tt:Date></tt:{name}>"
    )


def _shown_zone(state: DeviceState, clock: DeviceClock) -> str:
    east = parse_zone(clock.timezone).standard
    hours, minutes = divmod(abs(east) // 60, 60)
    if Quirk.ZONE_AS_GMT in state.quirks:
        return f"GMT{'-' if east < 0 else '+'}{hours:02d}:{minutes:02d}"
    if Quirk.ZONE_AS_CST in state.quirks:
        return f"CST{'-' if east > 0 else '+'}{hours}:{minutes:02d}:00"
    return clock.timezone


def set_system_date_and_time(state: DeviceState, call: Call) -> str:
    old = state.settings.the(DeviceClock)
    mode = reading.text(call.element, "DateTimeType")
    daylight = reading.flag(call.element, "DaylightSavings")
    zone = reading.optional(call.element, "TimeZone", "TZ")
    if mode not in ("Manual", "NTP"):
        raise reading.invalid_args("DateTimeType is Manual or NTP")
    try:
        parse_zone(old.timezone if zone is None else zone)
    except ValueError as error:
        raise invalid_value("InvalidTimeZone", "An invalid time zone was specified") from error
    moment = _moment(call)
    if mode == "Manual" and moment is None:
        raise invalid_value("InvalidDateTime", "UTCDateTime is needed to set the clock by hand")
    ntp = state.settings.the(Ntp)
    if mode == "NTP" and not (ntp.servers or ntp.from_dhcp):
        raise invalid_value("NtpServerUndefined", "There is no NTP server")
    if mode == "NTP" and Quirk.CLOCK_STAYS_MANUAL in state.quirks:
        mode = "Manual"
    new = DeviceClock(mode, old.timezone if zone is None else zone, daylight)
    state.put("", new)
    # With NTP the clock is right before anybody can look.
    if mode == "Manual" and moment is not None:
        state.set_time(moment)
    elif mode == "NTP":
        state.set_clock(0.0)
    return "<tds:SetSystemDateAndTimeResponse/>"


def _moment(call: Call) -> float | None:
    element = find(call.element, "UTCDateTime")
    if element is None:
        return None
    date = [reading.integer(element, "Date", name) for name in ("Year", "Month", "Day")]
    time = [reading.integer(element, "Time", name) for name in ("Hour", "Minute", "Second")]
    try:
        # Core: seconds go to 61, for leap seconds; no clock here has them.
        return datetime(*date, *time[:2], min(time[2], 59), tzinfo=UTC).timestamp()  # type: ignore[misc,arg-type]
    except ValueError as error:
        raise invalid_value("InvalidDateTime", "There is no such date and time") from error


# --- NTP


def _host(server: str) -> str:
    """A tt:NetworkHost's inside."""
    try:
        version = ipaddress.ip_address(server).version
    except ValueError:
        return f"<tt:Type>DNS</tt:Type><tt:DNSname>{content(server)}</tt:DNSname>"
    name = f"IPv{version}"
    return f"<tt:Type>{name}</tt:Type><tt:{name}Address>{content(server)}</tt:{name}Address>"


def get_ntp(state: DeviceState, call: Call) -> str:
    ntp = state.settings.the(Ntp)
    element = "tt:NTPFromDHCP" if ntp.from_dhcp else "tt:NTPManual"
    servers = "".join(f"<{element}>{_host(server)}</{element}>" for server in ntp.servers)
    return (
        "<tds:GetNTPResponse><tds:NTPInformation>"
        f"<tt:FromDHCP>{boolean(ntp.from_dhcp)}</tt:FromDHCP>{servers}"
        "</tds:NTPInformation></tds:GetNTPResponse>"
    )


def set_ntp(state: DeviceState, call: Call) -> str:
    """The servers, not the clock: that one goes on by hand until SetSystemDateAndTime says NTP (devicemgmt.wsdl)."""
    from_dhcp = reading.flag(call.element, "FromDHCP")
    servers = tuple(_server(child) for child in children(call.element) if local_name(child) == "NTPManual")
    if len(servers) > _MOST_SERVERS or (not from_dhcp and not servers):
        raise invalid_value("InvalidDnsName", f"1 to {_MOST_SERVERS} NTP servers are needed")
    # No DHCP server here knows one.
    state.put("", Ntp(from_dhcp, () if from_dhcp else servers))
    return "<tds:SetNTPResponse/>"


def _server(element: etree._Element) -> str:
    kind = reading.text(element, "Type")
    if kind == "DNS":
        name = reading.text(element, "DNSname")
        if not is_hostname(name):
            raise invalid_value("InvalidDnsName", f"No DNS name: {name[:64]}")
        return name
    if kind not in ("IPv4", "IPv6"):
        raise reading.invalid_args("Type is IPv4, IPv6 or DNS")
    address = reading.text(element, f"{kind}Address")
    try:
        if f"IPv{ipaddress.ip_address(address).version}" == kind:
            return address
    except ValueError:
        pass
    raise invalid_value(f"Invalid{kind}Address", f"No {kind} address: {address[:64]}")


# --- the name, and the network


def is_hostname(name: str) -> bool:
    """RFC 1123, section 2.1."""
    return len(name) <= 253 and all(_LABEL.fullmatch(label) for label in name.split("."))


def get_hostname(state: DeviceState, call: Call) -> str:
    hostname = state.settings.the(Hostname)
    return (
        "<tds:GetHostnameResponse><tds:HostnameInformation>"
        f"<tt:FromDHCP>{boolean(hostname.from_dhcp)}</tt:FromDHCP>"
        f"<tt:Name>{content(hostname.name)}</tt:Name>"
        "</tds:HostnameInformation></tds:GetHostnameResponse>"
    )


def set_hostname(state: DeviceState, call: Call) -> str:
    name = reading.text(call.element, "Name")
    if not is_hostname(name):
        raise invalid_value("InvalidHostname", "The requested hostname cannot be accepted by the device")
    state.put("", replace(state.settings.the(Hostname), name=name, from_dhcp=False))
    return "<tds:SetHostnameResponse/>"


def get_dns(state: DeviceState, call: Call) -> str:
    return (
        "<tds:GetDNSResponse><tds:DNSInformation><tt:FromDHCP>false</tt:FromDHCP><tt:DNSManual><tt:Type>IPv4</tt:Type>"
        "<tt:IPv4Address>192.0.2.53</tt:IPv4Address></tt:DNSManual></tds:DNSInformation></tds:GetDNSResponse>"
    )


def get_network_protocols(state: DeviceState, call: Call) -> str:
    inner = "".join(
        f"<tds:NetworkProtocols><tt:Name>{name}</tt:Name><tt:Enabled>{enabled}</tt:Enabled><tt:Port>{port}</tt:Port>"
        "</tds:NetworkProtocols>"
        for name, enabled, port in (
            ("HTTP", "true", state.port),
            ("HTTPS", "false", 443),
            ("RTSP", "true", state.rtsp_port),
        )
    )
    return f"<tds:GetNetworkProtocolsResponse>{inner}</tds:GetNetworkProtocolsResponse>"
