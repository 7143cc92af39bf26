"""Runs PyPI's `ipycam`, a virtual camera written by others, on loopback. Executed by the environment it is in.

Arguments: ONVIF port, RTSP port. Only where it listens is changed: its HTTP server binds to 127.0.0.1, and its
discovery, which would join the network's multicast group, stays off; so does its RTSP server, which is there on
machines with ffmpeg only and listens on every address.
"""

import sys
import threading

import ipycam.camera
from ipycam import CameraConfig, IPCamera


class Silent:
    def __init__(self, *_: object) -> None: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...


_server = ipycam.camera.ReusableThreadingTCPServer
ipycam.camera.WSDiscoveryServer = Silent
ipycam.camera.is_native_rtsp_available = lambda: False
ipycam.camera.ReusableThreadingTCPServer = lambda address, handler: _server(("127.0.0.1", address[1]), handler)

camera = IPCamera(
    CameraConfig(
        local_ip="127.0.0.1",
        onvif_port=int(sys.argv[1]),
        rtsp_port=int(sys.argv[2]),
        username="admin",
        password="pw-1234567",
    )
)
camera.start()
print("up", flush=True)
threading.Event().wait()
