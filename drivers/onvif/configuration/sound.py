"""Sound: the audio encoder, by Media 1. Loudness has no place in ONVIF that firmware agrees upon."""

from __future__ import annotations

from collections.abc import Mapping

from bridge.errors import Rejected
from bridge.settings.limits import Anything, Fixed, Limit, OneOf
from bridge.settings.plan import Step
from bridge.settings.vocabulary import Audio, AudioCodec, Value
from drivers.onvif import wsdl
from drivers.onvif.configuration.messages import copied, integer, put, renamed, request, text
from drivers.onvif.configuration.unit import MEDIA, NOTHING, Told, Unit
from drivers.transports import xml
from drivers.transports.xml import Element

_CODECS: Mapping[str, AudioCodec] = {"G711": AudioCodec.G711, "G726": AudioCodec.G726, "AAC": AudioCodec.AAC}
_WIRE = {codec: name for name, codec in _CODECS.items()}
_ORDER = ("Name", "UseCount", "Encoding", "Bitrate", "SampleRate", "Multicast", "SessionTimeout")


async def read(unit: Unit, section: str) -> Told:
    one = await _first(unit)
    if one is None:
        return NOTHING
    options = await unit.offered(
        MEDIA, wsdl.message("media", "GetAudioEncoderConfigurationOptions", ConfigurationToken=one.get("token", ""))
    )
    codec = _CODECS.get(xml.text(one, "Encoding"))
    values: dict[str, Value] = {
        "audio.codec": codec,
        "audio.bitrate": integer(xml.text(one, "Bitrate")),
        "audio.sample_rate": integer(xml.text(one, "SampleRate")),
    }
    tables: dict[AudioCodec, dict[str, Limit]] = {}
    for told in xml.children(xml.child(options, "Options"), "Options"):
        if (name := _CODECS.get(xml.text(told, "Encoding"))) is not None:
            tables[name] = {
                "audio.bitrate": _items(told, "BitrateList"),
                "audio.sample_rate": _items(told, "SampleRateList"),
            }
    own = tables.get(codec, {}) if codec else {}
    limits: dict[str, Limit] = {"audio.bitrate": Anything(), "audio.sample_rate": Anything()} | own
    limits["audio.codec"] = OneOf(tuple(tables)) if codec in tables else Fixed()
    return Told(values, limits, {("audio.codec", name): table for name, table in tables.items()})


async def write(unit: Unit, step: Step) -> bool:
    one = await _first(unit)
    if one is None:
        raise Rejected("it no longer has an audio encoder")
    wanted = step.after.audio or Audio()
    configuration = copied(one)
    if "audio.codec" in step.paths and wanted.codec is not None:
        put(configuration, ["Encoding"], _WIRE[wanted.codec], _ORDER)
    if "audio.bitrate" in step.paths:
        put(configuration, ["Bitrate"], str(wanted.bitrate), _ORDER)
    if "audio.sample_rate" in step.paths:
        put(configuration, ["SampleRate"], str(wanted.sample_rate), _ORDER)
    message = request(
        MEDIA,
        "SetAudioEncoderConfiguration",
        renamed(configuration, MEDIA, "Configuration"),
        text("ForcePersistence", "true"),
    )
    await unit.tell(MEDIA, message)
    return False


async def _first(unit: Unit) -> Element | None:
    """The encoder that profiles use, or the first."""
    if MEDIA not in unit.client.paths:
        return None
    told = await unit.ask(MEDIA, wsdl.message("media", "GetAudioEncoderConfigurations"))
    found = [one for one in xml.children(told, "Configurations") if one.get("token")]
    return next((one for one in found if (integer(xml.text(one, "UseCount")) or 0) > 0), found[0] if found else None)


def _items(options: Element, name: str) -> Limit:
    told = [integer((one.text or "").strip()) for one in xml.children(xml.child(options, name), "Items")]
    known = tuple(sorted({one for one in told if one is not None}))
    return OneOf(known) if known else Anything()
