"""What simulated panels are: models with what their firmware has, and the configuration that they come with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Modules = dict[str, dict[str, str]]


@dataclass(frozen=True, slots=True)
class Profile:
    """`calls`: where the number of a call stands in lines (before, behind, or nowhere and `EVENT:` in front).
    `switch` is how AutoMode of ntp_cgi is said."""

    model: str
    firmware: str
    hardware: str
    modules: frozenset[str]
    calls: str
    switch: tuple[str, str] = ("on", "off")
    uptime: str = "hours"  # `123:04:05`; days: `5.03:04:05`; none: it does not tell


_COMMON = frozenset(
    {
        *("systeminfo_cgi", "date_cgi", "ntp_cgi", "sip_cgi", "audio_cgi", "textoverlay_cgi", "images_cgi"),
        *("config_cgi", "restart_cgi", "alarmchangestate_cgi", "rtsp_cgi"),
    }
)
_DKS = _COMMON | {"intercom_cgi", "intercom_alarm_cgi", "display_cgi", "gate_cgi", "apartment_cgi", "rsyslog_cgi"}
PROFILES: Mapping[str, Profile] = {
    "dks": Profile(
        "DKS15135_rev5.5.6.8.5", "5.5.6.8.5", "Hi3516C Intercom", _DKS | {"mifare_cgi", "extrfid_cgi"}, "before",
        uptime="days",
    ),
    "dks_old": Profile("DKS15122", "3.2.1", "IMX122 Intercom", _DKS | {"rfid_cgi"}, "behind", ("1", "0")),
    "ds": Profile(
        "DS07P-LP", "3.1.0.0.13.27", "Hi3516c IP Camera", _COMMON | {"alarmout_cgi", "controller_cgi", "rsyslog_cgi"},
        "event",
    ),
    "ds_plain": Profile(
        "DS06M", "3.1.0.0.6.18", "Hi3518 IP Camera", _COMMON | {"alarmout_cgi"}, "event", ("1", "0"), "none",
    ),
}  # fmt: skip


def factory(profile: Profile, number: int) -> Modules:
    """The configuration of a new panel, by module."""
    modules: Modules = {
        "ntp_cgi": {
            "Enable": "on",
            "ServerAddress": "192.168.0.10",
            "ServerPort": "123",
            "Timezone": "21",
            "AutoMode": profile.switch[1],
        },
        "sip_cgi": {
            "AccountEnable1": "on",
            "AccName1": f"{1000 + number}",
            "AccNumber1": f"{1000 + number}",
            "AccUser1": f"{1000 + number}",
            "AccPassword1": "factory-secret",
            "AccPort1": "5060",
            "ServerEnable1": "on",
            "RegServerUrl1": "sip.example.net",
            "RegServerPort1": "5060",
            "SipServerUrl1": "sip.example.net",
            "SipServerPort1": "5060",
            "NatEnable1": "off",
            "StreamType1": "main",
            "DtmfSignal1": "1",
            "DtmfSignal2": "2",
            "DtmfSignal3": "3",
            "AllowIncoming": "on",
        },
        "textoverlay_cgi": {"Title": "Entrance", "TitleValue": "1", "DateValue": "1", "TimeValue": "1", "Color": "0"},
        "rsyslog_cgi": {
            "Enable": "off",
            "Protocol": "udp",
            "ServerAddress": "",
            "ServerPort": "514",
            "LogLevel": "5",
        },
        "rtsp_cgi": {"RtspSwitch": "open", "RtspAuth": "open", "RtspPort": "554"},
        "config_cgi": {},
        "name": {"HostName": f"IPC{number}"},
    }
    if "intercom_cgi" in profile.modules:
        modules |= _of_dks(profile)
    else:
        modules["audio_cgi"] = dict.fromkeys(
            ("AudioInVol", "AudioOutVol", "AudioInVolTalk", "AudioOutVolTalk"), "8"
        ) | {"AudioSwitch": "open", "AudioType": "G.711A"}
        modules["controller_cgi"] = {"Type": "1", "Output1": "open", "Delay1": "1", "Status1": "0"}
    return {name: keys for name, keys in modules.items() if name == "name" or name in profile.modules}


def _of_dks(profile: Profile) -> Modules:
    modules: Modules = {
        "intercom_cgi": {
            "DoorOpenTime": "5",
            "CallTimeout": "40",
            "TalkTimeout": "90",
            "DoorCode": "12345",
            "DoorCodeActive": "off",
            "HandsetUpLevel": "330",
            "DoorOpenLevel": "600",
            "ConciergeApartment": "9999",
            "MainDoorOpenMode": "off",
            "AltDoorOpenMode": "off",
            "IndividualLevels": "off",
            "RelayType": "0",
            "DoorOpenSipFail": "off",
        },
        "intercom_alarm_cgi": {"SOSCallActive": "off", "SOSCallNumber": "112"},
        "display_cgi": {"TickerEnable": "on", "TickerText": "Welcome", "TickerTimeout": "125", "LineEnable1": "off"},
        "gate_cgi": {"Mode": "1", "Enable": "off", "EntranceCount": "0"},
        "audio_cgi": dict.fromkeys(
            (
                *("AudioInVol", "AudioOutVol", "SystemVol", "AHSVol", "AHSSens"),
                *("GateInVol", "GateOutVol", "GateAHSVol", "GateAHSSens"),
                *("MicInSensitivity", "MicOutSensitivity", "SpeakerInVolume", "SpeakerOutVolume"),
                *("KmnMicInSensitivity", "KmnMicOutSensitivity", "KmnSpeakerInVolume", "KmnSpeakerOutVolume"),
            ),
            "9",
        )
        | {"AudioSwitch": "open", "AudioType": "G.711A"},
    }
    if "mifare_cgi" in profile.modules:
        modules["mifare_cgi"] = {"ScanCode": "96507", "AutoCollectKeys": "off", "ScanModeActive": "off"}
        modules["extrfid_cgi"] = {"ScanCode": "96507", "ScanModeActive": "off"}
    if "rfid_cgi" in profile.modules:
        modules["rfid_cgi"] = {"RegCode": "56086", "RegCodeActive": "on", "AutoCollectKeys": "off"}
    return modules
