"""Configuring a device with zeep on the ONVIF WSDLs, replies checked strictly against the schemas.

Media2's WSDL is not in onvif-zeep's set: its requests are written by hand, after ver20/media/wsdl.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
import zeep
from zeep.exceptions import Fault
from zeep.helpers import serialize_object
from zeep.transports import Transport
from zeep.wsdl import Document
from zeep.wsse.username import UsernameToken

from tests.integration.onvif_raw import MEDIA2, Answer, Raw, device

PASSWORD = "s3cret-pass"
# prefix -> WSDL, binding
_SERVICES = {
    "tds": ("devicemgmt.wsdl", "{http://www.onvif.org/ver10/device/wsdl}DeviceBinding"),
    "trt": ("media.wsdl", "{http://www.onvif.org/ver10/media/wsdl}MediaBinding"),
    "timg": ("imaging.wsdl", "{http://www.onvif.org/ver20/imaging/wsdl}ImagingBinding"),
    "tmd": ("deviceio.wsdl", "{http://www.onvif.org/ver10/deviceIO/wsdl}DeviceIOBinding"),
    "rules": ("analytics.wsdl", "{http://www.onvif.org/ver20/analytics/wsdl}RuleEngineBinding"),
    "modules": ("analytics.wsdl", "{http://www.onvif.org/ver20/analytics/wsdl}AnalyticsEngineBinding"),
}
_PATH = {"rules": "tan", "modules": "tan"}


@functools.cache
def _document(name: str) -> Document:
    files = distribution("onvif_zeep").files or []
    folder = next(Path(str(file.locate())).parent for file in files if file.name == "devicemgmt.wsdl")
    return Document(str(folder / name), Transport(timeout=10, operation_timeout=10))


class Client:
    """`await client("trt", "GetVideoEncoderConfigurations")`: plain dictionaries and lists come back."""

    def __init__(self, raw: Raw, username: str = "admin", password: str = PASSWORD) -> None:
        self.raw = raw
        self.state = raw.simulator.state
        self._login = (username, password)

    async def __call__(self, service: str, operation: str, **arguments: Any) -> Any:
        wsdl, binding = _SERVICES[service]
        address = self.raw.origin + self.state.make.paths[_PATH.get(service, service)]

        def ask() -> Any:
            client = zeep.Client(
                _document(wsdl),
                wsse=UsernameToken(*self._login, use_digest=True),
                transport=Transport(timeout=10, operation_timeout=10),
            )
            proxy = client.create_service(binding, address)
            return serialize_object(getattr(proxy, operation)(**arguments), dict)

        answer = await asyncio.to_thread(ask)
        # zeep takes a reply out of its wrapping, but not when that may hold anything else besides.
        if isinstance(answer, dict) and len(answer) == 2 and answer.get("_value_1", answer) is None:
            (answer,) = (value for name, value in answer.items() if name != "_value_1")
        return answer

    def login(self, username: str, password: str) -> Client:
        return Client(self.raw, username, password)

    async def refused(self, service: str, operation: str, *subcodes: str, **arguments: Any) -> None:
        """The request is a fault with these subcodes, and nothing has changed."""
        before = self.state.configuration()
        with pytest.raises(Fault) as caught:
            await self(service, operation, **arguments)
        assert [one.localname for one in caught.value.subcodes] == list(subcodes), caught.value.message
        assert self.state.configuration() == before

    # --- video encoders

    @property
    def encoder(self) -> str:
        """The token of the first encoder."""
        return next(iter(self.state.profiles.values())).encoder_token

    async def video(self, token: str | None = None) -> dict[str, Any]:
        found: dict[str, Any] = await self(
            "trt", "GetVideoEncoderConfiguration", ConfigurationToken=token or self.encoder
        )
        return found

    async def set_video(self, change: Callable[[dict[str, Any]], None], *, persistent: bool = True) -> None:
        """Get, change, Set: the whole object goes back."""
        configuration = await self.video()
        change(configuration)
        await self("trt", "SetVideoEncoderConfiguration", Configuration=configuration, ForcePersistence=persistent)

    async def bitrate(self) -> int:
        return int((await self.video())["RateControl"]["BitrateLimit"])

    async def set_bitrate(self, value: int, **how: Any) -> None:
        await self.set_video(lambda one: one["RateControl"].update(BitrateLimit=value), **how)

    # --- Media2

    async def media2(self, operation: str, inside: str = "") -> Answer:
        return await self.raw.ask(f'<{operation} xmlns="{MEDIA2}">{inside}</{operation}>')


def bitrates(options: dict[str, Any]) -> dict[str, int]:
    """The BitrateRange of H.264. It stands in an extension behind an xs:any, which takes all for zeep."""
    (h264,) = (one for one in options["Extension"]["_value_1"] if one.tag.endswith("}H264"))
    return {name: int(h264.findtext(f"{{*}}BitrateRange/{{*}}{name}")) for name in ("Min", "Max")}


def encoder2(token: str, **changes: Any) -> str:
    """A tt:VideoEncoder2Configuration for Set, its values the defaults of the first stream where none is given."""
    value = {
        "encoding": "H264",
        "width": 1920,
        "height": 1080,
        "fps": 15,
        "bitrate": 2048,
        "quality": 4,
        "gov": 30,
        "profile": "Main",
        "constant": "false",
        **changes,
    }
    return (
        f'<Configuration xmlns:tt="http://www.onvif.org/ver10/schema" token="{token}" GovLength="{value["gov"]}" '
        f'Profile="{value["profile"]}"><tt:Name>main</tt:Name><tt:UseCount>1</tt:UseCount>'
        f"<tt:Encoding>{value['encoding']}</tt:Encoding><tt:Resolution><tt:Width>{value['width']}</tt:Width>"
        f"<tt:Height>{value['height']}</tt:Height></tt:Resolution>"
        f'<tt:RateControl ConstantBitRate="{value["constant"]}"><tt:FrameRateLimit>{value["fps"]}</tt:FrameRateLimit>'
        f"<tt:BitrateLimit>{value['bitrate']}</tt:BitrateLimit></tt:RateControl>"
        f"<tt:Quality>{value['quality']}</tt:Quality></Configuration>"
    )


@asynccontextmanager
async def client(**traits: Any) -> AsyncIterator[Client]:
    async with device(**traits) as raw:
        yield Client(raw)
