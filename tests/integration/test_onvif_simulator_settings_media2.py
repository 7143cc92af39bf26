"""Media2 of the simulated ONVIF device: H.264 and H.265 encoders, audio, texts. Requests by hand, after its WSDL."""

from __future__ import annotations

import pytest
from lxml import etree

from tests.integration.onvif_raw import Answer
from tests.integration.onvif_rig import MAKES
from tests.integration.onvif_settings_client import Client, client, encoder2
from tests.integration.test_onvif_simulator_auth import Rtsp

each_make = pytest.mark.parametrize("seed", MAKES)
TT = "{http://www.onvif.org/ver10/schema}"


def configurations(answer: Answer) -> list[etree._Element]:
    return list(answer.root.iter("{*}Configurations"))


def read(element: etree._Element) -> dict[str, str]:
    """What `encoder2` writes, read back."""
    rate = element.find(f"{TT}RateControl")
    assert rate is not None
    return {
        "encoding": element.findtext(f"{TT}Encoding", ""),
        "width": element.findtext(f"{TT}Resolution/{TT}Width", ""),
        "height": element.findtext(f"{TT}Resolution/{TT}Height", ""),
        "fps": rate.findtext(f"{TT}FrameRateLimit", ""),
        "bitrate": rate.findtext(f"{TT}BitrateLimit", ""),
        "quality": element.findtext(f"{TT}Quality", ""),
        "gov": element.get("GovLength", ""),
        "profile": element.get("Profile", ""),
        "constant": rate.get("ConstantBitRate", ""),
    }


async def encoder(ask: Client) -> dict[str, str]:
    token = f"<ConfigurationToken>{ask.encoder}</ConfigurationToken>"
    (found,) = configurations(await ask.media2("GetVideoEncoderConfigurations", token))
    return read(found)


async def write(ask: Client, **values: object) -> Answer:
    return await ask.media2("SetVideoEncoderConfiguration", encoder2(ask.encoder, **values))


@each_make
async def test_options_of_each_encoding_are_taken(seed: int) -> None:
    async with client(seed=seed, media2=True) as ask:
        answer = await ask.media2(
            "GetVideoEncoderConfigurationOptions", f"<ConfigurationToken>{ask.encoder}</ConfigurationToken>"
        )
        seen = []
        for options in answer.root.iter("{*}Options"):
            encoding = options.findtext(f"{TT}Encoding", "")
            seen.append(encoding)
            rates = options.get("FrameRatesSupported", "").split()
            sizes = [
                (one.findtext(f"{TT}Width"), one.findtext(f"{TT}Height"))
                for one in options.iter("{*}ResolutionsAvailable")
            ]
            low, high = (options.findtext(f"{TT}BitrateRange/{TT}{end}", "") for end in ("Min", "Max"))
            best = options.findtext(f"{TT}QualityRange/{TT}Max", "")
            gov = options.get("GovLengthRange", "1 1").split()
            profiles = options.get("ProfilesSupported", "").split()
            constant = options.get("ConstantBitRateSupported", "false")
            for size, rate, bitrate, length in (
                (sizes[0], rates[0], high, gov[1]),
                (sizes[-1], rates[-1], low, gov[0]),
            ):
                wanted = {
                    "encoding": encoding,
                    "width": size[0],
                    "height": size[1],
                    "fps": rate,
                    "bitrate": bitrate,
                    "quality": best,
                    "gov": length,
                    "profile": profiles[-1] if profiles else "",
                    "constant": constant,
                }
                assert (await write(ask, **wanted)).status == 200, wanted
                got = await encoder(ask)
                if encoding == "JPEG":
                    wanted |= {"gov": "", "profile": ""}
                assert got == wanted
            if "0.5" not in rates:
                assert (await write(ask, **{**wanted, "fps": "0.5", "gov": gov[0]})).subcodes == [
                    "InvalidArgVal",
                    "ConfigModify",
                ]
        assert {"H264", "H265"} <= set(seen)
        before = await encoder(ask)
        for bad in ({"encoding": "AV1"}, {"bitrate": 10**6}, {"gov": 10**6}, {"profile": "Best"}, {"quality": 1000}):
            assert (await write(ask, **bad)).subcodes == ["InvalidArgVal", "ConfigModify"]
        assert await encoder(ask) == before
        stranger = await ask.media2("SetVideoEncoderConfiguration", encoder2("x"))
        assert stranger.subcodes == ["InvalidArgVal", "NoConfig"]


@each_make
async def test_h265_and_what_media1_and_the_stream_make_of_it(seed: int) -> None:
    async with client(seed=seed, media2=True) as ask:
        profile = next(iter(ask.state.profiles.values()))
        assert (await write(ask, encoding="H265")).status == 200
        await ask.refused(
            "trt", "GetVideoEncoderConfiguration", "InvalidArgVal", "NoConfig", ConfigurationToken=ask.encoder
        )
        assert (await ask("trt", "GetProfiles"))[0]["VideoEncoderConfiguration"] is None
        shown = await ask.media2("GetProfiles", "<Type>VideoEncoder</Type>")
        assert shown.all("Encoding")[0] == "H265"
        stream = f"<Protocol>RTSP</Protocol><ProfileToken>{profile.token}</ProfileToken>"
        uri = (await ask.media2("GetStreamUri", stream)).one("Uri")
        rtsp = await Rtsp.connect(ask.raw)
        status, sdp = await rtsp.describe(uri)
        assert (status, "H265/90000" in sdp, "a=framerate:15" in sdp, "b=AS:2048" in sdp) == (200, True, True, True)
        assert (await write(ask, encoding="H264", bitrate=1024)).status == 200
        again = (await ask.media2("GetStreamUri", stream)).one("Uri")
        status, sdp = await rtsp.describe(again)
        assert (status, "H264/90000" in sdp, "b=AS:1024" in sdp) == (200, True, True)
        rtsp.writer.close()
        assert await ask.bitrate() == 1024


async def test_which_configurations_are_meant() -> None:
    async with client(media2=True, channels=2) as ask:
        assert len(configurations(await ask.media2("GetVideoEncoderConfigurations"))) == 4
        last = list(ask.state.profiles.values())[-1]
        for operation in ("GetVideoEncoderConfigurations", "GetVideoSourceConfigurations"):
            found = configurations(await ask.media2(operation, f"<ProfileToken>{last.token}</ProfileToken>"))
            tokens = {one.get("token") for one in found}
            assert tokens == (
                {last.source.config_token}
                if "Source" in operation
                else {one.encoder_token for one in ask.state.profiles.values() if one.source == last.source}
            )
            answer = await ask.media2(operation, "<ConfigurationToken>x</ConfigurationToken>")
            assert answer.subcodes == ["InvalidArgVal", "NoConfig"]
        source = f"<ConfigurationToken>{last.source.config_token}</ConfigurationToken>"
        instances = await ask.media2("GetVideoEncoderInstances", source)
        assert instances.one("Total") == "2"
        assert "H265" in instances.all("Encoding")


@each_make
async def test_audio(seed: int) -> None:
    async with client(seed=seed, media2=True, audio=True, analytics=True) as ask:
        (one,) = configurations(await ask.media2("GetAudioEncoderConfigurations"))
        token = one.get("token")
        options = await ask.media2("GetAudioEncoderConfigurationOptions")
        for option in options.root.iter("{*}Options"):
            encoding = option.findtext(f"{TT}Encoding")
            bitrate, rate = (option.findtext(f"{TT}{name}/{TT}Items") for name in ("BitrateList", "SampleRateList"))

            def audio(bits: object, encoding: object = encoding, rate: object = rate) -> str:
                return (
                    f'<Configuration xmlns:tt="http://www.onvif.org/ver10/schema" token="{token}"><tt:Name>a</tt:Name>'
                    f"<tt:UseCount>1</tt:UseCount><tt:Encoding>{encoding}</tt:Encoding><tt:Bitrate>{bits}</tt:Bitrate>"
                    f"<tt:SampleRate>{rate}</tt:SampleRate></Configuration>"
                )

            assert (await ask.media2("SetAudioEncoderConfiguration", audio(bitrate))).status == 200
            (one,) = configurations(await ask.media2("GetAudioEncoderConfigurations"))
            assert (one.findtext(f"{TT}Encoding"), one.findtext(f"{TT}Bitrate")) == (encoding, bitrate)
            refused = await ask.media2("SetAudioEncoderConfiguration", audio(7))
            assert refused.subcodes == ["InvalidArgVal", "ConfigModify"]
        everything = await ask.media2("GetProfiles", "<Type>All</Type>")
        inside = {etree.QName(part).localname for part in next(everything.root.iter("{*}Configurations"))}
        assert inside == {"VideoSource", "AudioSource", "VideoEncoder", "AudioEncoder", "Analytics"}
        analytics = configurations(await ask.media2("GetAnalyticsConfigurations"))
        assert [one.get("token") for one in analytics] == [ask.state.sources[0].config_token]


@each_make
async def test_both_media_services_show_the_same_texts(seed: int) -> None:
    async with client(seed=seed, media2=True) as ask:
        source = ask.state.sources[0].config_token
        options = await ask.media2("GetOSDOptions", f"<ConfigurationToken>{source}</ConfigurationToken>")
        corner = options.all("PositionOption")[0]
        pos = '<tt:Pos x="0" y="0.5"/>' if corner == "Custom" else ""
        for old in (await ask.media2("GetOSDs")).root.iter("{*}OSDs"):
            await ask.media2("DeleteOSD", f"<OSDToken>{old.get('token')}</OSDToken>")

        def osd(token: str, text: str) -> str:
            return (
                f'<OSD xmlns:tt="http://www.onvif.org/ver10/schema" token="{token}">'
                f"<tt:VideoSourceConfigurationToken>{source}</tt:VideoSourceConfigurationToken><tt:Type>Text</tt:Type>"
                f"<tt:Position><tt:Type>{corner}</tt:Type>{pos}</tt:Position><tt:TextString><tt:Type>Plain</tt:Type>"
                f"<tt:PlainText>{text}</tt:PlainText></tt:TextString></OSD>"
            )

        token = (await ask.media2("CreateOSD", osd("", "Tor"))).one("OSDToken")
        assert (await ask.media2("SetOSD", osd(token, "Hof"))).status == 200
        assert (await ask("trt", "GetOSD", OSDToken=token))["TextString"]["PlainText"] == "Hof"
        assert (await ask.media2("GetOSDs", f"<OSDToken>{token}</OSDToken>")).one("PlainText") == "Hof"
        assert (await ask.media2("GetOSDs", "<OSDToken>x</OSDToken>")).subcodes == ["InvalidArgVal", "NoConfig"]
