"""The simulated ONVIF device is configured by zeep: clock, NTP, name, users, relays, motion detection, brokers."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.integration.onvif_raw import EVENTS, GET_INFO, GET_PROFILES, pull, security
from tests.integration.onvif_rig import MAKES
from tests.integration.onvif_settings_client import Client, client

each_make = pytest.mark.parametrize("seed", MAKES)


# --- the clock


def moment(at: datetime) -> dict[str, Any]:
    return {
        "Time": {"Hour": at.hour, "Minute": at.minute, "Second": at.second},
        "Date": {"Year": at.year, "Month": at.month, "Day": at.day},
    }


def read(given: dict[str, Any]) -> datetime:
    numbers = [*given["Date"].values(), *given["Time"].values()]
    return datetime(*numbers, tzinfo=UTC)  # type: ignore[misc]


@each_make
async def test_clock_and_zone(seed: int) -> None:
    async with client(seed=seed) as ask:
        await ask(
            "tds",
            "SetSystemDateAndTime",
            DateTimeType="Manual",
            DaylightSavings=True,
            TimeZone={"TZ": "CET-1CEST,M3.5.0,M10.5.0/3"},
            UTCDateTime=moment(datetime(2031, 7, 1, 12, tzinfo=UTC)),
        )
        got = await ask("tds", "GetSystemDateAndTime")
        assert (got["DateTimeType"], got["DaylightSavings"]) == ("Manual", True)
        assert got["TimeZone"]["TZ"] == "CET-1CEST,M3.5.0,M10.5.0/3"
        assert abs(read(got["UTCDateTime"]) - datetime(2031, 7, 1, 12, tzinfo=UTC)) < timedelta(seconds=30)
        assert read(got["LocalDateTime"]) - read(got["UTCDateTime"]) == timedelta(hours=2)
        # Its own clock is what tokens are measured by now.
        assert (await ask.raw.ask(GET_INFO)).subcodes == ["NotAuthorized"]
        await ask.raw.simulator.reboot()
        created = datetime(2031, 7, 1, 12, tzinfo=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        assert (await ask.raw.ask(GET_INFO, header=security(created=created))).status == 200


async def test_setting_ntp_does_not_start_it() -> None:
    async with client() as ask:
        await ask.raw.simulator.act("configure", setting="clock", mode="Manual")
        servers = [
            {"Type": "DNS", "DNSname": "time.example.org"},
            {"Type": "IPv4", "IPv4Address": "192.0.2.1"},
            {"Type": "IPv6", "IPv6Address": "2001:db8::1"},
        ]
        await ask("tds", "SetNTP", FromDHCP=False, NTPManual=servers)
        got = (await ask("tds", "GetNTP"))["NTPManual"]
        assert [one["DNSname"] or one["IPv4Address"] or one["IPv6Address"] for one in got] == [
            *("time.example.org", "192.0.2.1", "2001:db8::1")
        ]
        assert (await ask("tds", "GetSystemDateAndTime"))["DateTimeType"] == "Manual"
        await ask("tds", "SetSystemDateAndTime", DateTimeType="NTP", DaylightSavings=False)
        assert (await ask("tds", "GetSystemDateAndTime"))["DateTimeType"] == "NTP"


async def test_ntp_sets_a_wrong_clock_right() -> None:
    async with client() as ask:
        ask.state.set_clock(-3.0)
        await ask("tds", "SetSystemDateAndTime", DateTimeType="NTP", DaylightSavings=False)
        assert abs(read((await ask("tds", "GetSystemDateAndTime"))["UTCDateTime"]) - datetime.now(UTC)) < timedelta(
            seconds=2.5
        )


async def test_clocks_that_cannot_be() -> None:
    async with client() as ask:
        right: dict[str, Any] = {"DateTimeType": "NTP", "DaylightSavings": False}
        for zone in ("Europe/Paris", "GMT", "CET-25", "CET-1CEST,M13.1.0,M10.5.0", ""):
            wrong = right | {"TimeZone": {"TZ": zone}}
            await ask.refused("tds", "SetSystemDateAndTime", "InvalidArgVal", "InvalidTimeZone", **wrong)
        manual = right | {"DateTimeType": "Manual"}
        await ask.refused("tds", "SetSystemDateAndTime", "InvalidArgVal", "InvalidDateTime", **manual)
        late = moment(datetime(2030, 2, 1, tzinfo=UTC))
        late["Date"]["Day"] = 30
        await ask.refused("tds", "SetSystemDateAndTime", "InvalidArgVal", "InvalidDateTime", **manual, UTCDateTime=late)
        for server, subcode in (
            ({"Type": "DNS", "DNSname": "no_name"}, "InvalidDnsName"),
            ({"Type": "IPv4", "IPv4Address": "1.2.3"}, "InvalidIPv4Address"),
            ({"Type": "IPv6", "IPv6Address": "1.2.3.4"}, "InvalidIPv6Address"),
        ):
            await ask.refused("tds", "SetNTP", "InvalidArgVal", subcode, FromDHCP=False, NTPManual=[server])
        await ask("tds", "SetNTP", FromDHCP=True)
        await ask.raw.simulator.act("configure", setting="ntp", from_dhcp=False, servers=[])
        await ask.refused("tds", "SetSystemDateAndTime", "InvalidArgVal", "NtpServerUndefined", **right)


# --- the network


@each_make
async def test_the_name_and_the_network(seed: int) -> None:
    async with client(seed=seed) as ask:
        await ask("tds", "SetHostname", Name="gate-2.example")
        assert (await ask("tds", "GetHostname"))["Name"] == "gate-2.example"
        for name in ("-gate", "gate_2", "a" * 64, ""):
            await ask.refused("tds", "SetHostname", "InvalidArgVal", "InvalidHostname", Name=name)
        assert (await ask("tds", "GetDNS"))["FromDHCP"] is False
        protocols = {one["Name"]: one["Port"] for one in await ask("tds", "GetNetworkProtocols")}
        assert protocols["HTTP"] == [ask.raw.simulator.port]
        assert protocols["RTSP"] == [ask.state.rtsp_port]


@each_make
async def test_services_and_capabilities_agree(seed: int) -> None:
    for analytics in (True, False):
        async with client(seed=seed, analytics=analytics, event_brokers=2, audio=True) as ask:
            services = await ask("tds", "GetServices", IncludeCapability=True)
            listed = {one["Namespace"].removeprefix("http://www.onvif.org/"): one["XAddr"] for one in services}
            assert ("ver20/analytics/wsdl" in listed) == analytics
            assert {"ver20/imaging/wsdl", "ver10/deviceIO/wsdl"} <= set(listed)
            told = await ask("tds", "GetCapabilities", Category="All")
            assert told["Imaging"]["XAddr"] == listed["ver20/imaging/wsdl"]
            assert (told["Analytics"] is not None) == analytics
            assert (await ask("timg", "GetServiceCapabilities")) is not None
            limits = await ask("tmd", "GetServiceCapabilities")
            assert (limits["RelayOutputs"], limits["DigitalInputs"], limits["AudioSources"]) == (1, 1, 1)
            security_limits = (await ask("tds", "GetServiceCapabilities"))["Security"]
            assert security_limits["MaxUsers"] == ask.state.make.limits.users.most
            if analytics:
                assert (await ask("modules", "GetServiceCapabilities"))["RuleSupport"] is True
            events = await ask.raw.ask(f'<GetServiceCapabilities xmlns="{EVENTS}"/>')
            (capabilities,) = events.root.iter(f"{{{EVENTS}}}Capabilities")
            assert capabilities.get("EventBrokerProtocols") == "mqtt mqtts"


# --- users


def user(name: str, password: str | None = "Secret-word1", level: str = "Operator") -> dict[str, Any]:
    return {"Username": name, "Password": password, "UserLevel": level}


async def names(ask: Client) -> list[str]:
    return [one["Username"] for one in await ask("tds", "GetUsers")]


@each_make
async def test_users(seed: int) -> None:
    async with client(seed=seed) as ask:
        await ask("tds", "CreateUsers", User=[user("anna"), user("bert", level="User")])
        assert await names(ask) == ["admin", "anna", "bert"]
        assert all(one["Password"] is None for one in await ask("tds", "GetUsers"))
        anna = ask.login("anna", "Secret-word1")
        assert await anna("tds", "GetDeviceInformation")
        await ask("tds", "SetUser", User=[user("anna", "Other-word2", "User")])
        await anna.refused("tds", "GetDeviceInformation", "NotAuthorized")
        anna = ask.login("anna", "Other-word2")
        # Levels: an ordinary user looks, an operator sets the picture, an administrator the rest.
        assert await anna("timg", "GetImagingSettings", VideoSourceToken=ask.state.sources[0].token)
        picture = {"VideoSourceToken": ask.state.sources[0].token, "ImagingSettings": {"Brightness": 1}}
        await anna.refused("timg", "SetImagingSettings", "NotAuthorized", **picture)
        await anna.refused("tds", "GetUsers", "NotAuthorized")
        await ask("tds", "SetUser", User=[user("anna", "Other-word2", "Operator")])
        await anna("timg", "SetImagingSettings", **picture)
        await anna.refused("tds", "SetHostname", "NotAuthorized", Name="x")
        await ask("tds", "DeleteUsers", Username=["anna", "bert"])
        assert await names(ask) == ["admin"]


@each_make
async def test_all_of_the_users_or_none(seed: int) -> None:
    async with client(seed=seed) as ask:
        limits = ask.state.make.limits.users
        good = user("carl")
        for bad, subcodes in {
            "clash": (user("admin"), ("OperationProhibited", "UsernameClash")),
            "twice": (user("carl"), ("OperationProhibited", "UsernameClash")),
            "long": (user("x" * (limits.name[1] + 1)), ("OperationProhibited", "UsernameTooLong")),
            "long password": (user("d", "aB3-" * 20), ("OperationProhibited", "PasswordTooLong")),
            "anonymous": (user("dora", level="Anonymous"), ("OperationProhibited", "AnonymousNotAllowed")),
            "none": (user("dora", None), ("OperationProhibited", "Password")),
        }.values():
            if bad["Username"] == "d" and limits.name[0] > 1:
                subcodes = ("OperationProhibited", "UsernameTooShort")
            await ask.refused("tds", "CreateUsers", *subcodes, User=[good, bad])
        await ask.refused("tds", "SetUser", "InvalidArgVal", "UsernameMissing", User=[user("admin"), user("eva")])
        await ask.refused("tds", "DeleteUsers", "InvalidArgVal", "UsernameMissing", Username=["admin", "eva"])
        await ask("tds", "CreateUsers", User=[good])
        await ask.refused("tds", "DeleteUsers", "InvalidArgVal", "FixedUser", Username=["carl", "admin"])
        await ask.refused("tds", "SetUser", "InvalidArgVal", "FixedUser", User=[user("admin", level="User")])
        many = [user(f"user{number}") for number in range(limits.most - 1)]
        await ask.refused("tds", "CreateUsers", "Action", "TooManyUsers", User=many)
        await ask("tds", "CreateUsers", User=many[:-1])
        assert len(await names(ask)) == limits.most


async def test_set_user_without_a_password_clears_it() -> None:
    async with client() as ask:
        await ask("tds", "CreateUsers", User=[user("fred")])
        await ask("tds", "SetUser", User=[{"Username": "fred", "UserLevel": "Operator"}])
        await ask.login("fred", "Secret-word1").refused("tds", "GetDeviceInformation", "NotAuthorized")
        assert await ask.login("fred", "")("tds", "GetDeviceInformation")


async def test_a_weak_password() -> None:
    async with client(seed=MAKES[3]) as ask:
        for weak in ("onlyletters", "0123456789", "aB3-"):
            await ask.refused("tds", "CreateUsers", "OperationProhibited", "Password", User=[user("gina", weak)])


# --- relays and inputs


@pytest.mark.parametrize("service", ["tds", "tmd"])
@each_make
async def test_relays(seed: int, service: str) -> None:
    async with client(seed=seed, relays=2) as ask:
        first, second = await ask(service, "GetRelayOutputs")
        wanted = {"Mode": "Monostable", "DelayTime": timedelta(seconds=0.2), "IdleState": "closed"}
        if service == "tds":
            arguments: dict[str, Any] = {"RelayOutputToken": first["token"], "Properties": wanted}
        else:
            arguments = {"RelayOutput": {"token": first["token"], "Properties": wanted}}
        await ask(service, "SetRelayOutputSettings", **arguments)
        assert await ask(service, "GetRelayOutputs") == [first | {"Properties": wanted}, second]

        address = await ask.raw.quiet(topic="tns1:Device/Trigger/Relay")
        await ask(service, "SetRelayOutputState", RelayOutputToken=first["token"], LogicalState="active")
        states: list[str] = []
        async with asyncio.timeout(10):
            while len(states) < 2:  # a Monostable falls back by itself
                states += [one.data["LogicalState"] for one in (await ask.raw.ask(pull(), address)).notifications]
        assert states == ["active", "inactive"]

        longest = {"RelayOutput": {"token": first["token"], "Properties": wanted | {"DelayTime": timedelta(hours=2)}}}
        await ask.refused("tmd", "SetRelayOutputSettings", "InvalidArgVal", "ModeError", **longest)
        unknown = {"RelayOutputToken": "x", "LogicalState": "active"}
        await ask.refused(service, "SetRelayOutputState", "InvalidArgVal", "RelayToken", **unknown)
        options = await ask("tmd", "GetRelayOutputOptions", RelayOutputToken=second["token"])
        assert [one["token"] for one in options] == [second["token"]]
        assert [one["token"] for one in await ask("tmd", "GetDigitalInputs")] == list(ask.state.inputs)


# --- motion detection


def config(name: str, kind: str, **items: str) -> dict[str, Any]:
    simple = [{"Name": key, "Value": value} for key, value in items.items()]
    return {"Name": name, "Type": f"tt:{kind}", "Parameters": {"SimpleItem": simple}}


def items(one: dict[str, Any]) -> dict[str, str]:
    return {item["Name"]: item["Value"] for item in one["Parameters"]["SimpleItem"]}


@each_make
async def test_motion_detection(seed: int) -> None:
    async with client(seed=seed, analytics=True) as ask:
        found = (await ask("trt", "GetVideoAnalyticsConfigurations"))[0]
        token = {"ConfigurationToken": found["token"]}
        profile = (await ask("trt", "GetProfiles"))[0]["VideoAnalyticsConfiguration"]
        assert profile["token"] == found["token"]
        (module,) = await ask("modules", "GetAnalyticsModules", **token)
        assert items(module) == {"Sensitivity": "60"}
        address = await ask.raw.quiet(topic="tns1:Media//.")
        changed = config(module["Name"], "CellMotionEngine", Sensitivity="85")
        await ask("modules", "ModifyAnalyticsModules", **token, AnalyticsModule=[changed])
        (module,) = await ask("modules", "GetAnalyticsModules", **token)
        assert items(module) == {"Sensitivity": "85"}
        (news,) = (await ask.raw.ask(pull(), address)).notifications
        assert news.source == {"Token": found["token"], "Type": "Analytics"}
        for name, value, subcode in (("Sensitivity", "101", "InvalidModule"), ("Speed", "1", "InvalidModule")):
            bad = [config(module["Name"], "CellMotionEngine", **{name: value})]
            await ask.refused(
                "modules", "ModifyAnalyticsModules", "InvalidArgVal", subcode, **token, AnalyticsModule=bad
            )

        (rule,) = await ask("rules", "GetRules", **token)
        assert set(items(rule)) == {"MinCount", "AlarmOnDelay", "AlarmOffDelay", "ActiveCells"}
        modified = config(rule["Name"], "CellMotionDetector", ActiveCells="zwA=", MinCount="9")
        await ask("rules", "ModifyRules", **token, Rule=[modified])
        (rule,) = await ask("rules", "GetRules", **token)
        assert (items(rule)["ActiveCells"], items(rule)["MinCount"]) == ("zwA=", "9")
        second = config("Second", "CellMotionDetector", **items(rule))
        await ask("rules", "CreateRules", **token, Rule=[second])
        assert [one["Name"] for one in await ask("rules", "GetRules", **token)] == [rule["Name"], "Second"]
        await ask.refused("rules", "CreateRules", "InvalidArgVal", "RuleAlreadyExistent", **token, Rule=[second])
        many = [config(f"Rule{n}", "CellMotionDetector", **items(rule)) for n in range(4)]
        await ask.refused("rules", "CreateRules", "Action", "TooManyRules", **token, Rule=many)
        line = [config("Line", "LineDetector", **items(rule))]
        await ask.refused("rules", "CreateRules", "InvalidArgVal", "InvalidRule", **token, Rule=line)
        await ask("rules", "DeleteRules", **token, RuleName=["Second"])
        await ask.refused("rules", "DeleteRules", "InvalidArgVal", "RuleNotExistent", **token, RuleName=["Second"])
        await ask.refused("rules", "GetRules", "InvalidArgVal", "NoConfig", ConfigurationToken="x")
        supported = await ask("rules", "GetSupportedRules", **token)
        assert [one["Name"].rpartition(":")[2] for one in supported["RuleDescription"]] == ["CellMotionDetector"]


# --- brokers


def add_broker(address: str, more: str = "", prefix: str = "site/cam") -> str:
    return (
        f'<AddEventBroker xmlns="{EVENTS}"><EventBroker><Address>{address}</Address><TopicPrefix>{prefix}</TopicPrefix>'
        f"<UserName>bridge</UserName><Password>brk-secret</Password>{more}</EventBroker></AddEventBroker>"
    )


GET_BROKERS = f'<GetEventBrokers xmlns="{EVENTS}"/>'


@each_make
async def test_event_brokers(seed: int) -> None:
    async with client(seed=seed, event_brokers=1) as ask:
        assert (await ask.raw.ask(add_broker("mqtt://192.0.2.7:1883", "<QoS>1</QoS>"))).status == 200
        answer = await ask.raw.ask(GET_BROKERS)
        assert answer.one("Address") == "mqtt://192.0.2.7:1883"
        assert (answer.one("TopicPrefix"), answer.one("QoS")) == ("site/cam", "1")
        assert b"brk-secret" not in answer.raw
        assert "brk-secret" not in str(ask.state.configuration())
        # The same address is the same broker, another one is too many.
        assert (await ask.raw.ask(add_broker("mqtt://192.0.2.7:1883", prefix="other"))).status == 200
        assert (await ask.raw.ask(GET_BROKERS)).one("TopicPrefix") == "other"
        assert (await ask.raw.ask(add_broker("mqtts://192.0.2.8"))).subcodes[0] == "Action"
        assert (await ask.raw.ask(add_broker("http://192.0.2.8"))).subcodes[0] == "InvalidArgVal"
        assert (await ask.raw.ask(add_broker("mqtt://192.0.2.7:1883", prefix=""))).subcodes == ["InvalidArgs"]
        delete = f'<DeleteEventBroker xmlns="{EVENTS}"><Address>mqtt://192.0.2.7:1883</Address></DeleteEventBroker>'
        assert (await ask.raw.ask(delete)).status == 200
        assert (await ask.raw.ask(delete)).subcodes[0] == "InvalidArgVal"
        assert (await ask.raw.ask(GET_BROKERS)).all("Address") == []


async def test_most_cameras_know_no_brokers() -> None:
    async with client() as ask:
        assert (await ask.raw.ask(GET_BROKERS)).subcodes == ["ActionNotSupported"]
        assert (await ask.raw.ask(GET_PROFILES)).status == 200
