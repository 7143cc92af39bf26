"""The cheapest possible ONVIF cameras, for measuring clients: canned replies on many ports, in a process of its own.

`python -m tests.benchmarks.canned_camera PORTS` prints the ports as JSON and serves until it is killed. The replies
are shaped like a Hikvision's in length and content. Nothing is checked: what is measured is the other side.
"""

from __future__ import annotations

import asyncio
import json
import sys

_NAMESPACES = (
    'xmlns:env="http://www.w3.org/2003/05/soap-envelope" xmlns:tds="http://www.onvif.org/ver10/device/wsdl" '
    'xmlns:trt="http://www.onvif.org/ver10/media/wsdl" xmlns:tev="http://www.onvif.org/ver10/events/wsdl" '
    'xmlns:tt="http://www.onvif.org/ver10/schema" xmlns:wsnt="http://docs.oasis-open.org/wsn/b-2" '
    'xmlns:wsa5="http://www.w3.org/2005/08/addressing" xmlns:tns1="http://www.onvif.org/ver10/topics" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xs="http://www.w3.org/2001/XMLSchema"'
)
_TIME = (
    "<tt:Time><tt:Hour>12</tt:Hour><tt:Minute>30</tt:Minute><tt:Second>15</tt:Second></tt:Time>"
    "<tt:Date><tt:Year>2026</tt:Year><tt:Month>11</tt:Month><tt:Day>23</tt:Day></tt:Date>"
)
_MESSAGE = (
    '<wsnt:NotificationMessage><wsnt:Topic Dialect="http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet">'
    "tns1:RuleEngine/CellMotionDetector/Motion</wsnt:Topic><wsnt:Message>"
    '<tt:Message UtcTime="2026-11-23T12:30:15Z" PropertyOperation="Changed"><tt:Source>'
    '<tt:SimpleItem Name="VideoSourceConfigurationToken" Value="VideoSourceToken"/>'
    '<tt:SimpleItem Name="VideoAnalyticsConfigurationToken" Value="VideoAnalyticsToken"/>'
    '<tt:SimpleItem Name="Rule" Value="MyMotionDetectorRule"/></tt:Source>'
    '<tt:Data><tt:SimpleItem Name="IsMotion" Value="true"/></tt:Data></tt:Message></wsnt:Message>'
    "</wsnt:NotificationMessage>"
)
_CURRENT = (
    "<{0}:CurrentTime>2026-11-23T12:30:15Z</{0}:CurrentTime>"
    "<{0}:TerminationTime>2026-11-23T12:40:15Z</{0}:TerminationTime>"
)


def _profile(token: str, width: int, height: int) -> str:
    return (
        f'<trt:Profiles token="{token}" fixed="true"><tt:Name>{token}</tt:Name>'
        '<tt:VideoSourceConfiguration token="VideoSourceToken"><tt:Name>source</tt:Name><tt:UseCount>2</tt:UseCount>'
        "<tt:SourceToken>VideoSource_1</tt:SourceToken>"
        '<tt:Bounds x="0" y="0" width="1920" height="1080"/></tt:VideoSourceConfiguration>'
        f'<tt:VideoEncoderConfiguration token="E{token}"><tt:Name>encoder</tt:Name><tt:UseCount>1</tt:UseCount>'
        f"<tt:Encoding>H264</tt:Encoding><tt:Resolution><tt:Width>{width}</tt:Width><tt:Height>{height}</tt:Height>"
        "</tt:Resolution><tt:Quality>3</tt:Quality></tt:VideoEncoderConfiguration></trt:Profiles>"
    )


def _replies(port: int) -> dict[bytes, bytes]:
    base = f"http://127.0.0.1:{port}/onvif"
    bodies = {
        "GetSystemDateAndTime": "<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime>"
        "<tt:DateTimeType>NTP</tt:DateTimeType><tt:DaylightSavings>false</tt:DaylightSavings>"
        "<tt:TimeZone><tt:TZ>CST-8:00:00</tt:TZ></tt:TimeZone>"
        f"<tt:UTCDateTime>{_TIME}</tt:UTCDateTime><tt:LocalDateTime>{_TIME}</tt:LocalDateTime>"
        "</tds:SystemDateAndTime></tds:GetSystemDateAndTimeResponse>",
        "GetServices": "<tds:GetServicesResponse>"
        + "".join(
            f"<tds:Service><tds:Namespace>http://www.onvif.org/ver10/{name}/wsdl</tds:Namespace>"
            f"<tds:XAddr>{base}/{name}</tds:XAddr><tds:Version><tt:Major>2</tt:Major><tt:Minor>4</tt:Minor>"
            "</tds:Version></tds:Service>"
            for name in ("device", "media", "events")
        )
        + "</tds:GetServicesResponse>",
        "GetCapabilities": "<tds:GetCapabilitiesResponse><tds:Capabilities>"
        f"<tt:Device><tt:XAddr>{base}/device_service</tt:XAddr></tt:Device>"
        f"<tt:Events><tt:XAddr>{base}/events</tt:XAddr><tt:WSSubscriptionPolicySupport>true"
        "</tt:WSSubscriptionPolicySupport><tt:WSPullPointSupport>true</tt:WSPullPointSupport>"
        "<tt:WSPausableSubscriptionManagerInterfaceSupport>false</tt:WSPausableSubscriptionManagerInterfaceSupport>"
        f"</tt:Events><tt:Media><tt:XAddr>{base}/media</tt:XAddr><tt:StreamingCapabilities/></tt:Media>"
        "</tds:Capabilities></tds:GetCapabilitiesResponse>",
        "GetDeviceInformation": "<tds:GetDeviceInformationResponse><tds:Manufacturer>M</tds:Manufacturer>"
        "<tds:Model>C</tds:Model><tds:FirmwareVersion>V5</tds:FirmwareVersion><tds:SerialNumber>S1</tds:SerialNumber>"
        "<tds:HardwareId>88</tds:HardwareId></tds:GetDeviceInformationResponse>",
        "GetNetworkInterfaces": "<tds:GetNetworkInterfacesResponse/>",
        "GetProfiles": "<trt:GetProfilesResponse>"
        + _profile("Profile_1", 1920, 1080)
        + _profile("Profile_2", 640, 360)
        + "</trt:GetProfilesResponse>",
        "GetStreamUri": "<trt:GetStreamUriResponse><trt:MediaUri><tt:Uri>rtsp://127.0.0.1/1</tt:Uri>"
        "<tt:InvalidAfterConnect>false</tt:InvalidAfterConnect><tt:InvalidAfterReboot>false</tt:InvalidAfterReboot>"
        "<tt:Timeout>PT60S</tt:Timeout></trt:MediaUri></trt:GetStreamUriResponse>",
        "CreatePullPointSubscription": "<tev:CreatePullPointSubscriptionResponse><tev:SubscriptionReference>"
        f"<wsa5:Address>{base}/subscription</wsa5:Address></tev:SubscriptionReference>"
        + _CURRENT.format("wsnt")
        + "</tev:CreatePullPointSubscriptionResponse>",
        "PullMessages": "<tev:PullMessagesResponse>"
        + _CURRENT.format("tev")
        + _MESSAGE
        + "</tev:PullMessagesResponse>",
        "Unsubscribe": "<wsnt:UnsubscribeResponse/>",
    }
    replies = {}
    for name, body in bodies.items():
        start = f'<?xml version="1.0" encoding="UTF-8"?>\n<env:Envelope {_NAMESPACES}>'
        page = f"{start}<env:Body>{body}</env:Body></env:Envelope>"
        kind = "Content-Type: application/soap+xml; charset=utf-8"
        head = f"HTTP/1.1 200 OK\r\n{kind}\r\nContent-Length: {len(page)}\r\n\r\n"
        replies[f":{name}".encode()] = (head + page).encode()
    return replies


class Camera(asyncio.Protocol):
    def __init__(self, replies: dict[bytes, bytes]) -> None:
        self._replies = replies
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            head = self._data[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._data) < end + 4 + length:
                return
            body, self._data = self._data[end + 4 : end + 4 + length], self._data[end + 4 + length :]
            start = body.find(b"Body>") + 5
            name = body[body.find(b":", start) : start + 200].split(b">", 1)[0].split(b" ", 1)[0].split(b"/", 1)[0]
            self._transport.write(self._replies.get(name, self._replies[b":Unsubscribe"]))


async def serve(count: int) -> None:
    loop = asyncio.get_running_loop()
    ports = []
    for _ in range(count):
        replies: dict[bytes, bytes] = {}
        server = await loop.create_server(lambda known=replies: Camera(known), "127.0.0.1", 0)  # type: ignore[misc]
        port = server.sockets[0].getsockname()[1]
        replies.update(_replies(port))
        ports.append(port)
    print(json.dumps(ports), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
