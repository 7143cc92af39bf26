"""The simulated ONVIF device is configured by zeep: video and audio encoders, texts, imaging. Get, Set, Get; faults."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.onvif_raw import notifications, pull
from tests.integration.onvif_rig import MAKES
from tests.integration.onvif_settings_client import bitrates, client

HALDEN = 5  # the seed of a make whose texts have sizes and colours
each_make = pytest.mark.parametrize("seed", MAKES)


# --- video encoders


@each_make
async def test_video_encoders_are_set_within_their_options(seed: int) -> None:
    """Every end of every range is a valid input, and what is beyond it is a fault."""
    async with client(seed=seed) as ask:
        options = await ask("trt", "GetVideoEncoderConfigurationOptions", ConfigurationToken=ask.encoder)
        h264, bitrate = options["H264"], bitrates(options)
        before = await ask.video()

        for end in ("Min", "Max"):
            wanted: dict[str, Any] = {
                "Resolution": h264["ResolutionsAvailable"][0 if end == "Max" else -1],
                "Quality": options["QualityRange"][end],
                "RateControl": {
                    "FrameRateLimit": h264["FrameRateRange"][end],
                    "EncodingInterval": h264["EncodingIntervalRange"][end],
                    "BitrateLimit": bitrate[end],
                },
                "H264": {
                    "GovLength": h264["GovLengthRange"][end],
                    "H264Profile": h264["H264ProfilesSupported"][0],
                },
            }
            await ask.set_video(lambda one, new=wanted: one.update(new))  # type: ignore[misc]
            after = await ask.video()
            assert after == before | wanted

        for path, value in {
            ("Resolution", "Width"): 1234,
            ("Quality",): options["QualityRange"]["Max"] + 1,
            ("RateControl", "FrameRateLimit"): h264["FrameRateRange"]["Max"] + 1,
            ("RateControl", "EncodingInterval"): h264["EncodingIntervalRange"]["Max"] + 1,
            ("RateControl", "BitrateLimit"): bitrate["Max"] + 1,
            ("H264", "GovLength"): h264["GovLengthRange"]["Max"] + 1,
            ("H264", "H264Profile"): "Extended",
        }.items():
            bad = await ask.video()
            inner = bad
            for name in path[:-1]:
                inner = inner[name]
            inner[path[-1]] = value
            arguments = {"Configuration": bad, "ForcePersistence": True}
            await ask.refused("trt", "SetVideoEncoderConfiguration", "InvalidArgVal", "ConfigModify", **arguments)
        assert await ask.video() == after


async def test_an_encoder_needs_its_whole_object() -> None:
    async with client() as ask:
        whole = await ask.video()
        for missing in ("Multicast", "SessionTimeout", "H264", "Resolution", "Quality"):
            answer = await ask.raw.ask(_encoder_without(whole, missing))
            assert answer.subcodes == ["InvalidArgs"], missing
        assert (await ask.raw.ask(_encoder_without(whole, "ForcePersistence"))).subcodes == ["InvalidArgs"]
        assert await ask.video() == whole
        assert (await ask.raw.ask(_encoder_without(whole, ""))).status == 200


def _encoder_without(whole: dict[str, Any], missing: str) -> str:
    rate, gov = whole["RateControl"], whole["H264"]
    parts = {
        "Encoding": "H264",
        "Resolution": "<tt:Width>1920</tt:Width><tt:Height>1080</tt:Height>",
        "Quality": f"{whole['Quality']}",
        "RateControl": f"<tt:FrameRateLimit>{rate['FrameRateLimit']}</tt:FrameRateLimit><tt:EncodingInterval>1"
        f"</tt:EncodingInterval><tt:BitrateLimit>{rate['BitrateLimit']}</tt:BitrateLimit>",
        "H264": f"<tt:GovLength>{gov['GovLength']}</tt:GovLength><tt:H264Profile>Main</tt:H264Profile>",
        "Multicast": "<tt:Address><tt:Type>IPv4</tt:Type><tt:IPv4Address>0.0.0.0</tt:IPv4Address></tt:Address>"
        "<tt:Port>0</tt:Port><tt:TTL>1</tt:TTL><tt:AutoStart>false</tt:AutoStart>",
        "SessionTimeout": "PT60S",
    }
    inner = "".join(f"<tt:{name}>{value}</tt:{name}>" for name, value in parts.items() if name != missing)
    force = "" if missing == "ForcePersistence" else "<ForcePersistence>true</ForcePersistence>"
    return (
        '<SetVideoEncoderConfiguration xmlns="http://www.onvif.org/ver10/media/wsdl"><Configuration '
        f'xmlns:tt="http://www.onvif.org/ver10/schema" token="{whole["token"]}"><tt:Name>x</tt:Name>'
        f"<tt:UseCount>1</tt:UseCount>{inner}</Configuration>{force}</SetVideoEncoderConfiguration>"
    )


async def test_unknown_tokens_of_encoders() -> None:
    async with client() as ask:
        nothing, no_profile = ("InvalidArgVal", "NoConfig"), ("InvalidArgVal", "NoProfile")
        await ask.refused("trt", "GetVideoEncoderConfiguration", *nothing, ConfigurationToken="x")
        await ask.refused("trt", "GetVideoEncoderConfigurationOptions", *nothing, ConfigurationToken="x")
        await ask.refused("trt", "GetVideoEncoderConfigurationOptions", *no_profile, ProfileToken="x")
        await ask.refused("trt", "GetCompatibleVideoEncoderConfigurations", *no_profile, ProfileToken="x")
        number = "GetGuaranteedNumberOfVideoEncoderInstances"
        await ask.refused("trt", number, *nothing, ConfigurationToken="x")
        configuration = await ask.video() | {"token": "x"}
        arguments = {"Configuration": configuration, "ForcePersistence": True}
        await ask.refused("trt", "SetVideoEncoderConfiguration", *nothing, **arguments)


async def test_options_differ_by_stream_and_by_make() -> None:
    seen = set()
    for seed in MAKES:
        async with client(seed=seed, channels=2) as ask:
            high, low = [profile.token for profile in ask.state.profiles.values()][:2]
            sizes = []
            for token in (high, low):
                options = await ask("trt", "GetVideoEncoderConfigurationOptions", ProfileToken=token)
                sizes.append(max(size["Width"] for size in options["H264"]["ResolutionsAvailable"]))
            assert sizes[0] > sizes[1]
            seen.add(tuple(bitrates(options).values()))
            found = await ask("trt", "GetCompatibleVideoEncoderConfigurations", ProfileToken=low)
            mine = [one.encoder_token for one in ask.state.profiles.values()][:2]
            assert [one["token"] for one in found] == mine
            source = ask.state.sources[1].config_token
            number = await ask("trt", "GetGuaranteedNumberOfVideoEncoderInstances", ConfigurationToken=source)
            assert number["TotalNumber"] == number["H264"] == 2
            one = await ask("trt", "GetVideoSourceConfiguration", ConfigurationToken=source)
            assert one["SourceToken"] == ask.state.sources[1].token
    assert len(seen) == len(MAKES)


@each_make
async def test_profiles_streams_and_events_follow_the_encoder(seed: int) -> None:
    async with client(seed=seed) as ask:
        address = await ask.raw.quiet(topic="tns1:Media//.")
        before = await ask("trt", "GetProfiles")
        await ask.set_video(lambda one: one["Resolution"].update(Width=1920, Height=1080))
        profiles = await ask("trt", "GetProfiles")
        assert profiles[0]["VideoEncoderConfiguration"]["Resolution"]["Width"] == 1920
        assert profiles[1]["VideoEncoderConfiguration"] == before[1]["VideoEncoderConfiguration"]
        (news,) = notifications((await ask.raw.ask(pull(), address)).root)
        assert news.topic == "tns1:Media/ConfigurationChanged"
        assert news.source == {"Token": ask.encoder, "Type": "VideoEncoder"}
        # The same once more is no change.
        await ask.set_video(lambda one: None)
        assert notifications((await ask.raw.ask(pull("PT0.1S"), address)).root) == []


async def test_what_is_not_persistent_goes_with_the_reboot() -> None:
    async with client() as ask:
        await ask.set_bitrate(1024, persistent=False)
        assert await ask.bitrate() == 1024
        await ask.raw.simulator.reboot()
        assert await ask.bitrate() == 4096
        await ask.set_bitrate(2048)
        await ask.raw.simulator.reboot()
        assert await ask.bitrate() == 2048
        await ask("tds", "SetHostname", Name="gate-1")
        await ask("tds", "SetSystemFactoryDefault", FactoryDefault="Soft")
        assert ask.state.configuration()["hostname"]["name"] != "gate-1"
        assert ask.state.encoder(next(iter(ask.state.profiles.values()))).bitrate == 4096


# --- audio


@each_make
async def test_audio_encoders(seed: int) -> None:
    async with client(seed=seed, audio=True) as ask:
        (one,) = await ask("trt", "GetAudioEncoderConfigurations")
        options = (await ask("trt", "GetAudioEncoderConfigurationOptions", ConfigurationToken=one["token"]))["Options"]
        for option in options:
            one |= {
                "Encoding": option["Encoding"],
                "Bitrate": option["BitrateList"]["Items"][0],
                "SampleRate": option["SampleRateList"]["Items"][-1],
            }
            await ask("trt", "SetAudioEncoderConfiguration", Configuration=one, ForcePersistence=True)
            assert await ask("trt", "GetAudioEncoderConfiguration", ConfigurationToken=one["token"]) == one
        bad = one | {"Bitrate": 7}
        arguments = {"Configuration": bad, "ForcePersistence": True}
        await ask.refused("trt", "SetAudioEncoderConfiguration", "InvalidArgVal", "ConfigModify", **arguments)
        profile = (await ask("trt", "GetProfiles"))[0]
        assert profile["AudioEncoderConfiguration"] == one
        assert profile["AudioSourceConfiguration"] is not None


async def test_no_microphone_no_audio() -> None:
    async with client() as ask:
        assert not await ask("trt", "GetAudioEncoderConfigurations")
        assert (await ask("trt", "GetProfiles"))[0]["AudioEncoderConfiguration"] is None


# --- texts in the picture


@each_make
async def test_texts_in_the_picture(seed: int) -> None:
    async with client(seed=seed, name="Yard") as ask:
        source = ask.state.sources[0].config_token
        options = await ask("trt", "GetOSDOptions", ConfigurationToken=source)
        for old in await ask("trt", "GetOSDs", ConfigurationToken=source) or []:
            await ask("trt", "DeleteOSD", OSDToken=old["token"])
        assert not await ask("trt", "GetOSDs")

        position = options["PositionOption"][-1]
        place = {"Type": position, "Pos": {"x": -0.5, "y": 0.25} if position == "Custom" else None}
        text = "tt:Gate & <Süd>"
        wanted = {
            "token": "",
            "VideoSourceConfigurationToken": source,
            "Type": "Text",
            "Position": place,
            "TextString": {"Type": "Plain", "PlainText": text},
        }
        token = await ask("trt", "CreateOSD", OSD=wanted)
        osd = await ask("trt", "GetOSD", OSDToken=token)
        assert osd["TextString"]["PlainText"] == text
        assert osd["Position"]["Type"] == position
        assert osd["Position"]["Pos"] == place["Pos"]

        dated = wanted | {
            "TextString": {
                "Type": "DateAndTime",
                "DateFormat": options["TextOption"]["DateFormat"][-1],
                "TimeFormat": options["TextOption"]["TimeFormat"][-1],
            }
        }
        clock = await ask("trt", "CreateOSD", OSD=dated)
        shown = (await ask("trt", "GetOSD", OSDToken=clock))["TextString"]
        assert shown["DateFormat"] == dated["TextString"]["DateFormat"]  # type: ignore[index]
        assert [one["token"] for one in await ask("trt", "GetOSDs")] == [token, clock]

        osd["TextString"]["PlainText"] = "Hof"
        await ask("trt", "SetOSD", OSD=osd)
        assert (await ask("trt", "GetOSD", OSDToken=token))["TextString"]["PlainText"] == "Hof"

        modify = ("InvalidArgVal", "ConfigModify")
        longest = ask.state.make.limits.osd.longest
        for change in (
            {"TextString": {"Type": "Plain", "PlainText": "x" * (longest + 1)}},
            {"TextString": {"Type": "Plain", "PlainText": ""}},
            {"TextString": {"Type": "DateAndTime", "DateFormat": "yy"}},
            {"Position": {"Type": "Middle"}},
            {"Position": {"Type": "Custom", "Pos": {"x": 2, "y": 0}}},
        ):
            await ask.refused("trt", "SetOSD", *modify, OSD=osd | change)
        await ask.refused("trt", "SetOSD", "InvalidArgVal", "NoConfig", OSD=osd | {"token": "x"})
        await ask.refused("trt", "DeleteOSD", "InvalidArgVal", "NoConfig", OSDToken="x")
        most = options["MaximumNumberOfOSDs"]["PlainText"]
        for _ in range(min(most, options["MaximumNumberOfOSDs"]["Total"] - 1) - 1):
            await ask("trt", "CreateOSD", OSD=wanted)
        await ask.refused("trt", "CreateOSD", "Action", "MaxOSDs", OSD=wanted)


async def test_colours_and_sizes_are_adapted() -> None:
    async with client(seed=HALDEN) as ask:
        osd = (await ask("trt", "GetOSDs"))[0]
        osd["TextString"]["FontSize"] = 500
        osd["TextString"]["FontColor"]["Color"] |= {"X": 1, "Y": 2, "Z": 3}
        await ask("trt", "SetOSD", OSD=osd)
        after = (await ask("trt", "GetOSD", OSDToken=osd["token"]))["TextString"]
        assert after["FontSize"] == 64
        assert after["FontColor"]["Color"]["X"] == 235


# --- imaging


@each_make
async def test_imaging_takes_all_of_its_options(seed: int) -> None:
    async with client(seed=seed) as ask:
        source = {"VideoSourceToken": ask.state.sources[0].token}
        options = await ask("timg", "GetOptions", **source)
        before = await ask("timg", "GetImagingSettings", **source)
        assert not await ask("timg", "GetMoveOptions", **source), "no focus that moves"
        for name in ("Brightness", "ColorSaturation", "Contrast", "Sharpness"):
            for value in options[name].values():
                await ask("timg", "SetImagingSettings", **source, ImagingSettings={name: value})
                after = await ask("timg", "GetImagingSettings", **source)
                assert after == before | {name: value}, "only a part was set"
                before = after
            bad = {"ImagingSettings": {name: options[name]["Max"] + 0.5}}
            await ask.refused("timg", "SetImagingSettings", "InvalidArgVal", "SettingsInvalid", **source, **bad)
        for group in ("BacklightCompensation", "WideDynamicRange", "Exposure", "WhiteBalance"):
            if before[group] is None:
                bad = {"ImagingSettings": {group: {"Mode": "ON" if group != "Exposure" else "AUTO"}}}
                await ask.refused("timg", "SetImagingSettings", "InvalidArgVal", "SettingsInvalid", **source, **bad)
                continue
            for mode in options[group]["Mode"]:
                await ask("timg", "SetImagingSettings", **source, ImagingSettings={group: {"Mode": mode}})
                assert (await ask("timg", "GetImagingSettings", **source))[group]["Mode"] == mode
        for mode in options["IrCutFilterModes"] or ():
            await ask("timg", "SetImagingSettings", **source, ImagingSettings={"IrCutFilter": mode})
            assert (await ask("timg", "GetImagingSettings", **source))["IrCutFilter"] == mode
        await ask.refused("timg", "GetOptions", "InvalidArgVal", "NoSource", VideoSourceToken="x")


async def test_imaging_that_is_not_to_stay() -> None:
    async with client() as ask:
        source = {"VideoSourceToken": ask.state.sources[0].token}
        first = (await ask("timg", "GetImagingSettings", **source))["Brightness"]
        await ask("timg", "SetImagingSettings", **source, ImagingSettings={"Brightness": 1}, ForcePersistence=False)
        assert (await ask("timg", "GetImagingSettings", **source))["Brightness"] == 1
        await ask.raw.simulator.reboot()
        assert (await ask("timg", "GetImagingSettings", **source))["Brightness"] == first


async def test_somebody_else_changes_the_settings() -> None:
    async with client() as ask:
        address = await ask.raw.subscribe(topic="tns1:Media//.")
        await ask.raw.simulator.act("configure", setting="video_encoder", token=ask.encoder, bitrate=777)
        assert await ask.bitrate() == 777
        assert len((await ask.raw.ask(pull(), address)).notifications) == 1
        await ask.raw.simulator.act(
            "configure", setting="user", token="guard", level="Operator", password="guard-pass1"
        )
        assert [one["Username"] for one in await ask("tds", "GetUsers")] == ["admin", "guard"]
        assert "guard-pass1" not in str(ask.state.configuration())
        await ask.raw.simulator.act("configure", setting="user", token="guard", remove=True)
        assert len(await ask("tds", "GetUsers")) == 1
        for wrong, says in (
            ({"setting": "vidoe_encoder"}, "did you mean 'video_encoder'"),
            ({"setting": "hostname", "nmae": "x"}, "it has from_dhcp, name"),
            ({"setting": "video_encoder", "bitrate": "much"}, "it is a int"),
            ({"setting": "osd", "token": "new"}, "not enough to make one"),
            ({"setting": "clock", "timezone": "Europe/Paris"}, "no POSIX"),
            ({"setting": "video_encoder", "encoding": "AV1"}, "this make has H264"),
            ({"setting": {}}, "it is one of"),
        ):
            with pytest.raises(ValueError, match=says):
                await ask.raw.simulator.act("configure", **wrong)
