"""Which operation does what: name → function, and who may call it.

The operations that write settings are to be added here: an entry in `OPERATIONS`, a function that changes the
`DeviceState` and calls its `changed()`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from drivers.onvif.simulated import device_service as device
from drivers.onvif.simulated import media_service as media
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


@dataclass(frozen=True, slots=True)
class Operation:
    """`body` writes the reply's Body. `fixed`: the reply depends on the state alone and is kept as bytes."""

    body: Callable[[DeviceState, Call], str]
    fixed: bool = False


# Keys are the prefix of the service's namespace and the name of the operation.
OPERATIONS: Mapping[tuple[str, str], Operation] = {
    ("tds", "GetSystemDateAndTime"): Operation(device.get_system_date_and_time),
    ("tds", "GetDeviceInformation"): Operation(device.get_device_information, fixed=True),
    ("tds", "GetServices"): Operation(device.get_services),
    ("tds", "GetServiceCapabilities"): Operation(device.get_service_capabilities, fixed=True),
    ("tds", "GetCapabilities"): Operation(device.get_capabilities),
    ("tds", "GetScopes"): Operation(device.get_scopes, fixed=True),
    ("tds", "GetHostname"): Operation(device.get_hostname, fixed=True),
    ("tds", "GetNetworkInterfaces"): Operation(device.get_network_interfaces, fixed=True),
    ("tds", "GetNTP"): Operation(device.get_ntp, fixed=True),
    ("tds", "GetUsers"): Operation(device.get_users, fixed=True),
    ("tds", "GetEndpointReference"): Operation(device.get_endpoint_reference, fixed=True),
    ("tds", "SystemReboot"): Operation(device.system_reboot),
    ("trt", "GetServiceCapabilities"): Operation(device.get_service_capabilities, fixed=True),
    ("trt", "GetProfiles"): Operation(media.get_profiles, fixed=True),
    ("trt", "GetProfile"): Operation(media.get_profile),
    ("trt", "GetVideoSources"): Operation(media.get_video_sources, fixed=True),
    ("trt", "GetVideoSourceConfigurations"): Operation(media.get_video_source_configurations, fixed=True),
    ("trt", "GetVideoEncoderConfigurations"): Operation(media.get_video_encoder_configurations, fixed=True),
    ("trt", "GetStreamUri"): Operation(media.get_stream_uri),
    ("trt", "GetSnapshotUri"): Operation(media.get_snapshot_uri),
    ("tr2", "GetServiceCapabilities"): Operation(device.get_service_capabilities, fixed=True),
    ("tr2", "GetProfiles"): Operation(media.get_profiles2),
    ("tr2", "GetStreamUri"): Operation(media.get_stream_uri2),
}
