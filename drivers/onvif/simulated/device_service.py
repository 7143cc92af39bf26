"""The device service: identity, capabilities, addresses, maintenance. Shapes after devicemgmt.wsdl and onvif.xsd.

Each function writes the body of a reply in the documents' own prefixes.
"""

from __future__ import annotations

from drivers.onvif.simulated import reading
from drivers.onvif.simulated.broker_service import PROTOCOLS
from drivers.onvif.simulated.quirks import Quirk
from drivers.onvif.simulated.soap import NAMESPACES, Call, SoapFault, boolean
from drivers.onvif.simulated.state import DeviceState

_VERSION = "<tt:Major>2</tt:Major><tt:Minor>60</tt:Minor>"
_CATEGORIES = ("All", "Analytics", "Device", "Events", "Imaging", "Media", "PTZ")


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
    prefixes = ["tds", "trt", "tev", "timg", "tmd", *(("tan",) if state.traits.analytics else ())]
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
            f'UsernameToken="{boolean(traits.auth in ("both", "wsse"))}" '
            f'HttpDigest="{boolean(traits.auth in ("both", "digest"))}" RELToken="false" '
            f'HashingAlgorithms="{",".join(traits.digest_algorithms)}" MaxUsers="{state.make.limits.users.most}" '
            f'MaxUserNameLength="{state.make.limits.users.name[1]}" '
            f'MaxPasswordLength="{state.make.limits.users.password[1]}"/>'
            '<tds:System DiscoveryResolve="true" DiscoveryBye="true" RemoteDiscovery="false" SystemBackup="false" '
            'SystemLogging="false" FirmwareUpgrade="false"/></tds:Capabilities>'
        )
    if prefix == "trt":
        return (
            '<trt:Capabilities SnapshotUri="true" Rotation="false" VideoSourceMode="false" OSD="true">'
            f'<trt:ProfileCapabilities MaximumNumberOfProfiles="{_max_profiles(state)}"/>'
            '<trt:StreamingCapabilities RTPMulticast="false" RTP_TCP="true" RTP_RTSP_TCP="true" '
            'NonAggregateControl="false"/></trt:Capabilities>'
        )
    if prefix == "tr2":
        return (
            '<tr2:Capabilities SnapshotUri="false" Rotation="false" VideoSourceMode="false" OSD="true" Mask="false">'
            f'<tr2:ProfileCapabilities MaximumNumberOfProfiles="{_max_profiles(state)}" '
            f'ConfigurationsSupported="{_configurations(state)}"/><tr2:StreamingCapabilities RTSPStreaming="true" '
            'RTPMulticast="false" RTP_RTSP_TCP="true" NonAggregateControl="false"/></tr2:Capabilities>'
        )
    if prefix == "timg":
        return '<timg:Capabilities ImageStabilization="false"/>'
    if prefix == "tan":
        return (
            '<tan:Capabilities RuleSupport="true" AnalyticsModuleSupport="true" '
            'CellBasedSceneDescriptionSupported="false"/>'
        )
    if prefix == "tmd":
        return (
            f'<tmd:Capabilities VideoSources="{len(state.sources)}" VideoOutputs="0" '
            f'AudioSources="{_microphones(state)}" AudioOutputs="0" RelayOutputs="{len(state.relays)}" SerialPorts="0" '
            f'DigitalInputs="{len(state.inputs)}"/>'
        )
    brokers = ""
    if traits.event_brokers:
        brokers = f' EventBrokerProtocols="{" ".join(PROTOCOLS)}" MaxEventBrokers="{traits.event_brokers}"'
    return (
        f'<tev:Capabilities WSSubscriptionPolicySupport="true" WSPullPointSupport="{_pull_points(state)}" '
        'WSPausableSubscriptionManagerInterfaceSupport="false" '
        f'MaxNotificationProducers="{traits.max_notification_producers}" MaxPullPoints="{state.max_pull_points}" '
        f'PersistentNotificationStorage="false"{brokers}/>'
    )


def _configurations(state: DeviceState) -> str:
    sound = " AudioSource AudioEncoder" if state.traits.audio else ""
    return f"VideoSource VideoEncoder{sound}{' Analytics' if state.traits.analytics else ''}"


def _microphones(state: DeviceState) -> int:
    return len(state.sources) if state.traits.audio else 0


def _max_profiles(state: DeviceState) -> int:
    return max(6 * len(state.sources), len(state.profiles))


def _pull_points(state: DeviceState) -> str:
    return boolean(Quirk.PULL_POINT_NOT_ADVERTISED not in state.quirks)


def get_capabilities(state: DeviceState, call: Call) -> str:
    category = call.text("Category") or "All"
    if category not in _CATEGORIES:
        raise SoapFault("Sender", ("ter:InvalidArgVal",), f"No category {category[:40]}")
    parts = {
        "Analytics": (
            f"<tt:Analytics><tt:XAddr>{state.xaddr('tan')}</tt:XAddr><tt:RuleSupport>true</tt:RuleSupport>"
            "<tt:AnalyticsModuleSupport>true</tt:AnalyticsModuleSupport></tt:Analytics>"
        ),
        "Device": _device_capabilities(state),
        "Events": (
            f"<tt:Events><tt:XAddr>{state.xaddr('tev')}</tt:XAddr>"
            "<tt:WSSubscriptionPolicySupport>true</tt:WSSubscriptionPolicySupport>"
            f"<tt:WSPullPointSupport>{_pull_points(state)}</tt:WSPullPointSupport>"
            "<tt:WSPausableSubscriptionManagerInterfaceSupport>false"
            "</tt:WSPausableSubscriptionManagerInterfaceSupport></tt:Events>"
        ),
        "Imaging": f"<tt:Imaging><tt:XAddr>{state.xaddr('timg')}</tt:XAddr></tt:Imaging>",
        "Media": (
            f"<tt:Media><tt:XAddr>{state.xaddr('trt')}</tt:XAddr><tt:StreamingCapabilities>"
            "<tt:RTPMulticast>false</tt:RTPMulticast><tt:RTP_TCP>true</tt:RTP_TCP>"
            "<tt:RTP_RTSP_TCP>true</tt:RTP_RTSP_TCP></tt:StreamingCapabilities><tt:Extension><tt:ProfileCapabilities>"
            f"<tt:MaximumNumberOfProfiles>{_max_profiles(state)}</tt:MaximumNumberOfProfiles>"
            "</tt:ProfileCapabilities></tt:Extension></tt:Media>"
        ),
    }
    if not state.traits.analytics:
        del parts["Analytics"]
    if Quirk.IMAGING_NOT_IN_CAPABILITIES in state.quirks:
        del parts["Imaging"]
    if category == "All":
        inner = "".join(parts.values()) + (
            f"<tt:Extension><tt:DeviceIO><tt:XAddr>{state.xaddr('tmd')}</tt:XAddr>"
            f"<tt:VideoSources>{len(state.sources)}</tt:VideoSources><tt:VideoOutputs>0</tt:VideoOutputs>"
            f"<tt:AudioSources>{_microphones(state)}</tt:AudioSources><tt:AudioOutputs>0</tt:AudioOutputs>"
            f"<tt:RelayOutputs>{len(state.relays)}</tt:RelayOutputs></tt:DeviceIO></tt:Extension>"
        )
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


def get_endpoint_reference(state: DeviceState, call: Call) -> str:
    guid = f"<tds:GUID>urn:uuid:{state.uuid}</tds:GUID>"
    return f"<tds:GetEndpointReferenceResponse>{guid}</tds:GetEndpointReferenceResponse>"


def system_reboot(state: DeviceState, call: Call) -> str:
    """Only the reply; the simulator reboots once it is sent."""
    seconds = state.traits.reboot_seconds
    return f"<tds:SystemRebootResponse><tds:Message>Rebooting in {seconds:g} s</tds:Message></tds:SystemRebootResponse>"


def set_system_factory_default(state: DeviceState, call: Call) -> str:
    """Soft and hard alike: the address stays, or nobody would find it again. A reboot follows the reply."""
    if reading.text(call.element, "FactoryDefault") not in ("Soft", "Hard"):
        raise reading.invalid_args("FactoryDefault is Soft or Hard")
    state.factory_default()
    return "<tds:SetSystemFactoryDefaultResponse/>"
