"""Which operation does what: name → function, and who may call it.

Who may call what follows Core's default access policy. A write ends in `DeviceState.put`, which has all the rest done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from drivers.onvif.simulated import analytics_service as analytics
from drivers.onvif.simulated import audio_service as audio
from drivers.onvif.simulated import broker_service as broker
from drivers.onvif.simulated import clock_service as clock
from drivers.onvif.simulated import device_service as device
from drivers.onvif.simulated import imaging_service as imaging
from drivers.onvif.simulated import media_service as media
from drivers.onvif.simulated import osd_service as osd
from drivers.onvif.simulated import relay_service as relay
from drivers.onvif.simulated import user_service as user
from drivers.onvif.simulated import video_service as video
from drivers.onvif.simulated.soap import Call
from drivers.onvif.simulated.state import DeviceState

# Operations that need no credentials: access class PRE_AUTH in the service specifications.
PRE_AUTH = frozenset(
    {
        "GetSystemDateAndTime",
        "GetServices",
        "GetServiceCapabilities",
        "GetCapabilities",
        "GetHostname",
        "GetEndpointReference",
    }
)


Body = Callable[[DeviceState, Call], str]


@dataclass(frozen=True, slots=True)
class Operation:
    """`body` writes the reply's Body. `fixed`: the reply depends on the state alone and is kept as bytes.

    `level` is the lowest user level that may call it. `writes`: it changes settings.
    """

    body: Body
    fixed: bool = False
    level: str = "User"
    writes: bool = False


def _read(body: Body, level: str = "User") -> Operation:
    return Operation(body, fixed=True, level=level)


def _ask(body: Body, level: str = "User") -> Operation:
    return Operation(body, level=level)


def _write(body: Body, level: str = "Operator") -> Operation:
    return Operation(body, level=level, writes=True)


# Keys are the prefix of the service's namespace and the name of the operation.
OPERATIONS: Mapping[tuple[str, str], Operation] = {
    ("tds", "GetSystemDateAndTime"): _ask(clock.get_system_date_and_time),
    ("tds", "SetSystemDateAndTime"): _write(clock.set_system_date_and_time, "Administrator"),
    ("tds", "GetDeviceInformation"): _read(device.get_device_information),
    ("tds", "GetServices"): _ask(device.get_services),
    ("tds", "GetServiceCapabilities"): _read(device.get_service_capabilities),
    ("tds", "GetCapabilities"): _ask(device.get_capabilities),
    ("tds", "GetScopes"): _read(device.get_scopes),
    ("tds", "GetHostname"): _read(clock.get_hostname),
    ("tds", "SetHostname"): _write(clock.set_hostname, "Administrator"),
    ("tds", "GetDNS"): _read(clock.get_dns),
    ("tds", "GetNetworkInterfaces"): _read(device.get_network_interfaces),
    ("tds", "GetNetworkProtocols"): _read(clock.get_network_protocols),
    ("tds", "GetNTP"): _read(clock.get_ntp),
    ("tds", "SetNTP"): _write(clock.set_ntp, "Administrator"),
    ("tds", "GetUsers"): _read(user.get_users, "Administrator"),
    ("tds", "CreateUsers"): _write(user.create_users, "Administrator"),
    ("tds", "SetUser"): _write(user.set_user, "Administrator"),
    ("tds", "DeleteUsers"): _write(user.delete_users, "Administrator"),
    ("tds", "GetRelayOutputs"): _read(relay.get_relay_outputs),
    ("tds", "SetRelayOutputSettings"): _write(relay.set_relay_output_settings),
    ("tds", "SetRelayOutputState"): _write(relay.set_relay_output_state),
    ("tds", "GetEndpointReference"): _read(device.get_endpoint_reference),
    ("tds", "SystemReboot"): _ask(device.system_reboot, "Administrator"),
    ("tds", "SetSystemFactoryDefault"): _write(device.set_system_factory_default, "Administrator"),
    ("tmd", "GetServiceCapabilities"): _read(device.get_service_capabilities),
    ("tmd", "SetRelayOutputSettings"): _write(relay.set_relay_output_settings_io),
    ("tmd", "GetRelayOutputOptions"): _ask(relay.get_relay_output_options),
    ("tmd", "GetDigitalInputs"): _read(relay.get_digital_inputs),
    ("timg", "GetServiceCapabilities"): _read(device.get_service_capabilities),
    ("timg", "GetImagingSettings"): _ask(imaging.get_imaging_settings),
    ("timg", "SetImagingSettings"): _write(imaging.set_imaging_settings),
    ("timg", "GetOptions"): _ask(imaging.get_options),
    ("timg", "GetMoveOptions"): _ask(imaging.get_move_options),
    ("tan", "GetServiceCapabilities"): _read(device.get_service_capabilities),
    ("tan", "GetRules"): _ask(analytics.get_rules),
    ("tan", "GetSupportedRules"): _ask(analytics.get_supported_rules),
    ("tan", "ModifyRules"): _write(analytics.modify_rules),
    ("tan", "CreateRules"): _write(analytics.create_rules),
    ("tan", "DeleteRules"): _write(analytics.delete_rules),
    ("tan", "GetAnalyticsModules"): _ask(analytics.get_modules),
    ("tan", "GetSupportedAnalyticsModules"): _ask(analytics.get_supported_modules),
    ("tan", "ModifyAnalyticsModules"): _write(analytics.modify_modules),
    ("tev", "GetEventBrokers"): _ask(broker.get_event_brokers, "Administrator"),
    ("tev", "AddEventBroker"): _write(broker.add_event_broker, "Administrator"),
    ("tev", "DeleteEventBroker"): _write(broker.delete_event_broker, "Administrator"),
    ("trt", "GetServiceCapabilities"): _read(device.get_service_capabilities),
    ("trt", "GetProfiles"): _read(media.get_profiles),
    ("trt", "GetProfile"): _ask(media.get_profile),
    ("trt", "GetVideoSources"): _read(media.get_video_sources),
    ("trt", "GetVideoSourceConfiguration"): _ask(media.get_video_source_configuration),
    ("trt", "GetVideoSourceConfigurations"): _read(media.get_video_source_configurations),
    ("trt", "GetVideoEncoderConfiguration"): _ask(video.get_configuration),
    ("trt", "GetVideoEncoderConfigurations"): _read(video.get_configurations),
    ("trt", "GetVideoEncoderConfigurationOptions"): _ask(video.get_options),
    ("trt", "GetCompatibleVideoEncoderConfigurations"): _ask(video.get_compatible_configurations),
    ("trt", "GetGuaranteedNumberOfVideoEncoderInstances"): _ask(video.get_guaranteed_instances),
    ("trt", "SetVideoEncoderConfiguration"): _write(video.set_configuration),
    ("trt", "GetAudioEncoderConfiguration"): _ask(audio.get_configuration),
    ("trt", "GetAudioEncoderConfigurations"): _read(audio.get_configurations),
    ("trt", "GetAudioEncoderConfigurationOptions"): _ask(audio.get_options),
    ("trt", "SetAudioEncoderConfiguration"): _write(audio.set_configuration),
    ("trt", "GetVideoAnalyticsConfigurations"): _read(analytics.get_configurations),
    ("trt", "GetStreamUri"): _ask(media.get_stream_uri),
    ("trt", "GetSnapshotUri"): _ask(media.get_snapshot_uri),
    ("tr2", "GetServiceCapabilities"): _read(device.get_service_capabilities),
    ("tr2", "GetProfiles"): _ask(media.get_profiles2),
    ("tr2", "GetVideoSourceConfigurations"): _ask(media.get_video_source_configurations2),
    ("tr2", "GetVideoEncoderConfigurations"): _ask(video.get_configurations2),
    ("tr2", "GetVideoEncoderConfigurationOptions"): _ask(video.get_options2),
    ("tr2", "GetVideoEncoderInstances"): _ask(video.get_instances2),
    ("tr2", "SetVideoEncoderConfiguration"): _write(video.set_configuration2),
    ("tr2", "GetAudioEncoderConfigurations"): _ask(audio.get_configurations2),
    ("tr2", "GetAudioEncoderConfigurationOptions"): _ask(audio.get_options2),
    ("tr2", "SetAudioEncoderConfiguration"): _write(audio.set_configuration2),
    ("tr2", "GetAnalyticsConfigurations"): _ask(analytics.get_configurations),
    ("tr2", "GetStreamUri"): _ask(media.get_stream_uri2),
    **{
        (prefix, name): operation
        for prefix in ("trt", "tr2")
        for name, operation in (
            ("GetOSDs", _ask(osd.get_osds)),
            ("GetOSDOptions", _ask(osd.get_osd_options)),
            ("CreateOSD", _write(osd.create_osd)),
            ("SetOSD", _write(osd.set_osd)),
            ("DeleteOSD", _write(osd.delete_osd)),
        )
    },
    ("trt", "GetOSD"): _ask(osd.get_osd),
}
