"""The device service: identity, capabilities, clock, network. Shapes after devicemgmt.wsdl and onvif.xsd.

Each function writes the body of a reply in the documents' own prefixes.
"""

from __future__ import annotations

from datetime import datetime
from xml.sax.saxutils import escape

from drivers.onvif.simulated.quirks import Quirk
from drivers.onvif.simulated.soap import NAMESPACES, Call, SoapFault
from drivers.onvif.simulated.state import DeviceState
from drivers.onvif.simulated.times import to_utc

_VERSION = "<tt:Major>2</tt:Major><tt:Minor>60</tt:Minor>"
_CATEGORIES = ("All", "Analytics", "Device", "Events", "Imaging", "Media", "PTZ")


def flag(value: bool) -> str:
    return "true" if value else "false"


def get_system_date_and_time(state: DeviceState, call: Call) -> str:
    now = state.now()
    quirks = state.quirks
    parts = ""
    if Quirk.NO_DATETIME not in quirks:
        if Quirk.LOCAL_TIME_ONLY not in quirks:
            parts = _date_time(state, "UTCDateTime", to_utc(now))
        parts += _date_time(state, "LocalDateTime", to_utc(now + state.utc_offset))
    return (
        "<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime><tt:DateTimeType>NTP</tt:DateTimeType>"
        f"<tt:DaylightSavings>false</tt:DaylightSavings><tt:TimeZone><tt:TZ>{state.timezone}</tt:TZ></tt:TimeZone>"
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


def get_device_information(state: DeviceState, call: Call) -> str:
    return (
        "<tds:GetDeviceInformationResponse>"
        f"<tds:Manufacturer>{state.make.manufacturer}</tds:Manufacturer><tds:Model>{state.model}{state.stray}</tds:Model>"
        f"<tds:FirmwareVersion>{state.make.firmware}</tds:FirmwareVersion>"
        f"<tds:SerialNumber>{state.serial}</tds:SerialNumber><tds:HardwareId>88</tds:HardwareId>"
        "</tds:GetDeviceInformationResponse>"
    )


def get_services(state: DeviceState, call: Call) -> str:
    with_capabilities = call.text("IncludeCapability") in ("true", "1")
    prefixes = ["tds", "trt", "tev"]
    if state.traits.media2:
        # Before Media1 or after it: a client has to match the whole namespace.
        prefixes.insert(1 if Quirk.MEDIA2_FIRST in state.quirks else 2, "tr2")
    services = ""
    for prefix in prefixes:
        capabilities = (
            f"<tds:Capabilities>{service_capabilities(state, prefix)}</tds:Capabilities>" if with_capabilities else ""
        )
        services += (
            f"<tds:Service><tds:Namespace>{NAMESPACES[prefix]}</tds:Namespace><tds:XAddr>{state.xaddr(prefix)}</tds:XAddr>"
            f"{capabilities}<tds:Version>{_VERSION}</tds:Version></tds:Service>"
        )
    return f"<tds:GetServicesResponse>{services}</tds:GetServicesResponse>"


def get_service_capabilities(state: DeviceState, call: Call) -> str:
    prefix = call.prefix
    return (
        f"<{prefix}:GetServiceCapabilitiesResponse>{service_capabilities(state, prefix)}"
        f"</{prefix}:GetServiceCapabilitiesResponse>"
    )


def service_capabilities(state: DeviceState, prefix: str) -> str:
    """The Capabilities element of one service, its namespace given by prefix."""
    traits = state.traits
    if prefix == "tds":
        return (
            '<tds:Capabilities><tds:Network IPFilter="false" ZeroConfiguration="false" IPVersion6="false" '
            'DynDNS="false" Dot11Configuration="false" HostnameFromDHCP="false" NTP="1" DHCPv6="false"/>'
            '<tds:Security TLS1.0="false" TLS1.1="false" TLS1.2="false" OnboardKeyGeneration="false" '
            'AccessPolicyConfig="false" DefaultAccessPolicy="true" Dot1X="false" RemoteUserHandling="false" '
            'X.509Token="false" SAMLToken="false" KerberosToken="false" '
            f'UsernameToken="{flag(traits.auth in ("both", "wsse"))}" '
            f'HttpDigest="{flag(traits.auth in ("both", "digest"))}" RELToken="false" '
            f'HashingAlgorithms="{",".join(traits.digest_algorithms)}"/>'
            '<tds:System DiscoveryResolve="true" DiscoveryBye="true" RemoteDiscovery="false" SystemBackup="false" '
            'SystemLogging="false" FirmwareUpgrade="false"/></tds:Capabilities>'
        )
    if prefix == "trt":
        return (
            '<trt:Capabilities SnapshotUri="true" Rotation="false" VideoSourceMode="false" OSD="false">'
            f'<trt:ProfileCapabilities MaximumNumberOfProfiles="{_max_profiles(state)}"/>'
            '<trt:StreamingCapabilities RTPMulticast="false" RTP_TCP="true" RTP_RTSP_TCP="true" '
            'NonAggregateControl="false"/></trt:Capabilities>'
        )
    if prefix == "tr2":
        return (
            '<tr2:Capabilities SnapshotUri="false" Rotation="false" VideoSourceMode="false" OSD="false" Mask="false">'
            f'<tr2:ProfileCapabilities MaximumNumberOfProfiles="{_max_profiles(state)}" '
            'ConfigurationsSupported="VideoSource VideoEncoder"/><tr2:StreamingCapabilities RTSPStreaming="true" '
            'RTPMulticast="false" RTP_RTSP_TCP="true" NonAggregateControl="false"/></tr2:Capabilities>'
        )
    return (
        f'<tev:Capabilities WSSubscriptionPolicySupport="true" WSPullPointSupport="{_pull_points(state)}" '
        'WSPausableSubscriptionManagerInterfaceSupport="false" '
        f'MaxNotificationProducers="{traits.max_notification_producers}" MaxPullPoints="{state.max_pull_points}" '
        'PersistentNotificationStorage="false"/>'
    )


def _max_profiles(state: DeviceState) -> int:
    return max(6 * len(state.sources), len(state.profiles))


def _pull_points(state: DeviceState) -> str:
    return flag(Quirk.PULL_POINT_NOT_ADVERTISED not in state.quirks)


def get_capabilities(state: DeviceState, call: Call) -> str:
    category = call.text("Category") or "All"
    if category not in _CATEGORIES:
        raise SoapFault("Sender", ("ter:InvalidArgVal",), f"No category {category[:40]}")
    parts = {
        "Device": _device_capabilities(state),
        "Events": (
            f"<tt:Events><tt:XAddr>{state.xaddr('tev')}</tt:XAddr>"
            "<tt:WSSubscriptionPolicySupport>true</tt:WSSubscriptionPolicySupport>"
            f"<tt:WSPullPointSupport>{_pull_points(state)}</tt:WSPullPointSupport>"
            "<tt:WSPausableSubscriptionManagerInterfaceSupport>false"
            "</tt:WSPausableSubscriptionManagerInterfaceSupport></tt:Events>"
        ),
        "Media": (
            f"<tt:Media><tt:XAddr>{state.xaddr('trt')}</tt:XAddr><tt:StreamingCapabilities>"
            "<tt:RTPMulticast>false</tt:RTPMulticast><tt:RTP_TCP>true</tt:RTP_TCP>"
            "<tt:RTP_RTSP_TCP>true</tt:RTP_RTSP_TCP></tt:StreamingCapabilities><tt:Extension><tt:ProfileCapabilities>"
            f"<tt:MaximumNumberOfProfiles>{_max_profiles(state)}</tt:MaximumNumberOfProfiles>"
            "</tt:ProfileCapabilities></tt:Extension></tt:Media>"
        ),
    }
    if category == "All":
        inner = "".join(parts.values())
    elif category in parts:
        inner = parts[category]
    else:
        raise SoapFault("Receiver", ("ter:ActionNotSupported", "ter:NoSuchService"), f"No {category} service")
    return f"<tds:GetCapabilitiesResponse><tds:Capabilities>{inner}</tds:Capabilities></tds:GetCapabilitiesResponse>"


def _device_capabilities(state: DeviceState) -> str:
    no = "".join
    network = no(f"<tt:{n}>false</tt:{n}>" for n in ("IPFilter", "ZeroConfiguration", "IPVersion6", "DynDNS"))
    security = no(
        f"<tt:{n}>false</tt:{n}>"
        for n in (
            *("TLS1.1", "TLS1.2", "OnboardKeyGeneration", "AccessPolicyConfig"),
            *("X.509Token", "SAMLToken", "KerberosToken", "RELToken"),
        )
    )
    return (
        f"<tt:Device><tt:XAddr>{state.xaddr('tds')}</tt:XAddr>"
        f"<tt:Network>{network}<tt:Extension><tt:Dot11Configuration>false</tt:Dot11Configuration></tt:Extension>"
        "</tt:Network><tt:System><tt:DiscoveryResolve>true</tt:DiscoveryResolve><tt:DiscoveryBye>true</tt:DiscoveryBye>"
        "<tt:RemoteDiscovery>false</tt:RemoteDiscovery><tt:SystemBackup>false</tt:SystemBackup>"
        "<tt:SystemLogging>false</tt:SystemLogging><tt:FirmwareUpgrade>false</tt:FirmwareUpgrade>"
        f"<tt:SupportedVersions>{_VERSION}</tt:SupportedVersions></tt:System>"
        f"<tt:IO><tt:InputConnectors>{len(state.inputs)}</tt:InputConnectors>"
        f"<tt:RelayOutputs>{len(state.relays)}</tt:RelayOutputs></tt:IO>"
        f"<tt:Security>{security}<tt:Extension><tt:TLS1.0>false</tt:TLS1.0></tt:Extension></tt:Security></tt:Device>"
    )


def get_scopes(state: DeviceState, call: Call) -> str:
    scopes = "".join(
        f"<tds:Scopes><tt:ScopeDef>{'Configurable' if '/name/' in scope or '/location/' in scope else 'Fixed'}"
        f"</tt:ScopeDef><tt:ScopeItem>{scope}</tt:ScopeItem></tds:Scopes>"
        for scope in state.scopes
    )
    return f"<tds:GetScopesResponse>{scopes}</tds:GetScopesResponse>"


def get_hostname(state: DeviceState, call: Call) -> str:
    return (
        "<tds:GetHostnameResponse><tds:HostnameInformation><tt:FromDHCP>false</tt:FromDHCP>"
        f"<tt:Name>{state.model.lower()}-{state.serial[-4:].lower()}</tt:Name>"
        "</tds:HostnameInformation></tds:GetHostnameResponse>"
    )


def get_network_interfaces(state: DeviceState, call: Call) -> str:
    link = "<tt:AutoNegotiation>true</tt:AutoNegotiation><tt:Speed>100</tt:Speed><tt:Duplex>Full</tt:Duplex>"
    return (
        '<tds:GetNetworkInterfacesResponse><tds:NetworkInterfaces token="eth0"><tt:Enabled>true</tt:Enabled>'
        f"<tt:Info><tt:Name>eth0</tt:Name><tt:HwAddress>{state.mac}</tt:HwAddress><tt:MTU>1500</tt:MTU></tt:Info>"
        f"<tt:Link><tt:AdminSettings>{link}</tt:AdminSettings><tt:OperSettings>{link}</tt:OperSettings>"
        "<tt:InterfaceType>6</tt:InterfaceType></tt:Link>"
        f"<tt:IPv4><tt:Enabled>true</tt:Enabled><tt:Config><tt:Manual><tt:Address>{state.address}</tt:Address>"
        "<tt:PrefixLength>24</tt:PrefixLength></tt:Manual><tt:DHCP>false</tt:DHCP></tt:Config></tt:IPv4>"
        "</tds:NetworkInterfaces></tds:GetNetworkInterfacesResponse>"
    )


def get_ntp(state: DeviceState, call: Call) -> str:
    return (
        "<tds:GetNTPResponse><tds:NTPInformation><tt:FromDHCP>false</tt:FromDHCP><tt:NTPManual><tt:Type>DNS</tt:Type>"
        f"<tt:DNSname>{escape(state.ntp_server)}</tt:DNSname></tt:NTPManual></tds:NTPInformation></tds:GetNTPResponse>"
    )


def get_users(state: DeviceState, call: Call) -> str:
    return (
        f"<tds:GetUsersResponse><tds:User><tt:Username>{escape(state.username)}</tt:Username>"
        "<tt:UserLevel>Administrator</tt:UserLevel></tds:User></tds:GetUsersResponse>"
    )


def get_endpoint_reference(state: DeviceState, call: Call) -> str:
    guid = f"<tds:GUID>urn:uuid:{state.uuid}</tds:GUID>"
    return f"<tds:GetEndpointReferenceResponse>{guid}</tds:GetEndpointReferenceResponse>"


def system_reboot(state: DeviceState, call: Call) -> str:
    """Only the reply; the simulator reboots once it is sent."""
    seconds = state.traits.reboot_seconds
    return f"<tds:SystemRebootResponse><tds:Message>Rebooting in {seconds:g} s</tds:Message></tds:SystemRebootResponse>"
