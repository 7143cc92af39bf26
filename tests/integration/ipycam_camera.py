"""Runs PyPI's `ipycam`, a virtual camera written by others, on loopback. Executed by the environment it is in.

Arguments: ONVIF port, RTSP port. Only where it listens is changed: its servers bind to 127.0.0.1, and its discovery,
which would join the network's multicast group, stays off. It serves RTSP where it finds ffmpeg, and not elsewhere.
"""

import functools
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
ipycam.camera.ReusableThreadingTCPServer = lambda address, handler: _server(("127.0.0.1", address[1]), handler)
ipycam.camera.NativeRTSPServer = functools.partial(ipycam.camera.NativeRTSPServer, host="127.0.0.1")

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
