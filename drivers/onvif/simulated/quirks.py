"""What real firmwares do otherwise than the documents say, one switch each.

A comment names the vendor or family that was seen doing it and the public thread that tells of it, where there is
one (`core` is home-assistant/core). What is a figure or a mode is a trait of the simulator instead: Digest only
(`auth="digest"`, newer Hikvision, agsh/onvif#294), ONVIF on another port (`port`), lock-outs (`lockout_after`,
Hikvision, evercam/evercam-server#91), an H.265 stream that only Media2 shows (`h265`), the size of everything.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from enum import StrEnum


class Quirk(StrEnum):
    # --- the clock
    # Cameras without a battery start in the year 2000 until NTP answers; Digest and WSSE break (core#121952).
    CLOCK_WRONG_AFTER_REBOOT = "clock_wrong_after_reboot"
    # Vivotek, Panasonic, some Hikvision: GetSystemDateAndTime wants credentials (agsh/onvif#178, #301).
    DATE_NEEDS_AUTH = "date_needs_auth"
    # Local time and zone, no UTCDateTime (agsh/onvif#65).
    LOCAL_TIME_ONLY = "local_time_only"
    # Neither of the two; only the HTTP Date header tells (agsh/onvif#65).
    NO_DATETIME = "no_datetime"
    # `2026-1-1T0:0:0Z` in event replies: no leading zeros (core#97050).
    BAD_DATETIME = "bad_datetime"
    # Hour 25, or an empty Hour, in GetSystemDateAndTime (core#97050).
    HOUR_25 = "hour_25"
    EMPTY_HOUR = "empty_hour"

    # --- credentials
    # Hikvision refuses a Created that ends in +00:00 instead of Z (onvif-zeep-async, client.py).
    CREATED_Z_ONLY = "created_z_only"
    # Others refuse fractions of a second, nanoseconds above all (lumeohq/onvif-rs#114).
    CREATED_WHOLE_SECONDS = "created_whole_seconds"
    # ... or a nonce of more than 16 bytes (lumeohq/onvif-rs#114).
    SHORT_NONCE = "short_nonce"
    # Embedded web servers answer 401 with a login page, or with no body at all.
    HTML_401 = "html_401"
    EMPTY_401 = "empty_401"

    # --- addresses and services
    # XAddrs and stream URIs keep the factory address 192.168.1.88 (frigate#18352) or an old DHCP lease (core#92308).
    PRIVATE_XADDR = "private_xaddr"
    # Behind NAT, or after a port change: right host, port 8899 (OpenIPC/viewer#67).
    WRONG_PORT_XADDR = "wrong_port_xaddr"
    # Old firmwares know GetCapabilities only.
    NO_GET_SERVICES = "no_get_services"
    # Media2 stands before Media1, so that a search for "media" finds the wrong one.
    MEDIA2_FIRST = "media2_first"
    # WS-Addressing headers outside the event service are answered with 404 or 500 (core#84551).
    WSA_404 = "wsa_404"
    WSA_500 = "wsa_500"

    # --- XML
    # `wsa:` and `wsnt:` used in event replies and never declared (home-assistant.io#40942, core#47130).
    UNDECLARED_PREFIXES = "undeclared_prefixes"
    # `ter:` in faults, never declared (python-zeep#1205).
    UNDECLARED_FAULT_PREFIX = "undeclared_fault_prefix"
    # A fault whose Subcode is empty.
    EMPTY_SUBCODE = "empty_subcode"
    # SOAP 1.1 envelopes, whatever was asked in.
    SOAP11 = "soap11"
    # 200 and an empty Body: the operation was silently ignored. All but the PRE_AUTH operations.
    EMPTY_BODY = "empty_body"
    # Latin-1 in names, declared as UTF-8.
    INVALID_UTF8 = "invalid_utf8"
    CRLF_BEFORE_DECLARATION = "crlf_before_declaration"
    TRUNCATED_TAIL = "truncated_tail"
    UNQUOTED_ATTRIBUTE = "unquoted_attribute"

    # --- HTTP
    # Closes after each reply without `Connection: close` (python-onvif-zeep-async#140).
    CLOSES_EVERY_CONNECTION = "closes_every_connection"
    # Closes what is idle for a second (python-onvif-zeep-async#169).
    CLOSES_IDLE_CONNECTIONS = "closes_idle_connections"

    # --- subscriptions
    # Axis: the subscription's id is only in ReferenceParameters, to be echoed as a header (kerberos-io/onvif#6).
    AXIS_REFERENCE_PARAMETERS = "axis_reference_parameters"
    # Renew is not there (Hikvision, Tapo, GeoVision in edgexfoundry's matrix), or faults (core#81963).
    NO_RENEW = "no_renew"
    RENEW_FAULTS = "renew_faults"
    # "No MessageID element for Renew method": WS-Addressing headers are compulsory there.
    RENEW_NEEDS_MESSAGE_ID = "renew_needs_message_id"
    # Old Hikvision, Dahua, Bosch: PT60S is refused, or read as a twelfth of it (python-onvif-zeep-async#32).
    RELATIVE_TIME_REJECTED = "relative_time_rejected"
    RELATIVE_TIME_MISREAD = "relative_time_misread"
    # Tapo: 500 when InitialTerminationTime is left out (kerberos-io/onvif#5).
    TERMINATION_TIME_REQUIRED = "termination_time_required"
    # Amcrest: an absolute time that ends in +00:00 is refused (core#91470).
    OFFSET_TIME_REJECTED = "offset_time_rejected"
    # Every subscription lives 60 s, whatever was asked.
    TERMINATION_TIME_IGNORED = "termination_time_ignored"
    # Two pull points (onvif/specs#592).
    FEW_SLOTS = "few_slots"
    # Unsubscribe ends the subscriptions of all clients (core#92627).
    UNSUBSCRIBE_KILLS_ALL = "unsubscribe_kills_all"
    # The address of a forgotten subscription answers 400 without a body instead of a fault (core#37711).
    STALE_SUBSCRIPTION_400 = "stale_subscription_400"
    # SetSynchronizationPoint is not there, or replies with an empty Body (core#86400, #73861).
    NO_SYNCHRONIZATION_POINT = "no_synchronization_point"
    EMPTY_SYNCHRONIZATION_REPLY = "empty_synchronization_reply"
    # Pull points exist and are not advertised (core#91089).
    PULL_POINT_NOT_ADVERTISED = "pull_point_not_advertised"
    # A Timeout above the limit is a fault that names the limit, as Core has it; most firmwares just cut it.
    PULL_TIMEOUT_FAULTS = "pull_timeout_faults"
    # At most one message a reply.
    ONE_MESSAGE_PER_PULL = "one_message_per_pull"
    # Replies at once with no message, although Core forbids it before the Timeout.
    EARLY_EMPTY_PULL = "early_empty_pull"

    # --- events
    # The Initialized burst comes twice (ZoneMinder#4527).
    INITIALIZED_TWICE = "initialized_twice"
    # States as 1 and 0 (Axis), or as active and inactive.
    NUMERIC_STATES = "numeric_states"
    ACTIVE_STATES = "active_states"
    # Motion begins and never ends; each new one is a "true" again (core#124422).
    MOTION_NEVER_CLEARS = "motion_never_clears"
    # D-Link: tns1:VideoSoure/MotionAlarm, so spelt (dmitrif/onvif2mqtt#34).
    DLINK_TOPIC = "dlink_topic"
    # tns1:VideoAnalytics/tnsav:MotionDetection (dmitrif/onvif2mqtt#20).
    VIDEO_ANALYTICS_TOPIC = "video_analytics_topic"
    # tns1:Device/HardwareFailure without the leaf that says what failed (core#173202).
    BARE_HARDWARE_FAILURE = "bare_hardware_failure"

    # --- settings
    # One field cannot be changed, whatever the options say (trait `rejected_field`; edgexfoundry/device-onvif-camera's
    # matrix has such cells for most makes).
    REJECTS_A_FIELD = "rejects_a_field"
    # The bit rate becomes the nearest of a few that the encoder knows, without a fault (onvif/specs#619, #653).
    ADAPTS_BITRATE = "adapts_bitrate"
    # 200, and nothing has happened (trait `ignored_writes`): Tapo's users, Geovision's and Bosch's date (edgexfoundry).
    IGNORES_WRITES = "ignores_writes"
    # The writing is done and the Body of the reply is empty.
    EMPTY_WRITE_REPLY = "empty_write_reply"
    # The options offer more frames a second than Set takes (agsh/onvif#338, #339).
    OPTIONS_TOO_WIDE = "options_too_wide"
    # Media1 shows an H.265 encoder as H.264, and what is written back turns it into one (agsh/onvif#283).
    MEDIA1_CALLS_IT_H264 = "media1_calls_it_h264"
    # Another codec is taken and begins with the next boot; until then the old one is read (Hikvision's web page
    # asks for that reboot).
    CODEC_NEEDS_REBOOT = "codec_needs_reboot"
    # The device reboots by itself, loses its link, or falls silent, once, when the write of the trait `mishap_after`
    # is done. The reply to it is sent only before a reboot.
    REBOOTS_AFTER_WRITE = "reboots_after_write"
    LINK_LOST_AFTER_WRITE = "link_lost_after_write"
    SILENT_AFTER_WRITE = "silent_after_write"
    # DateTimeType NTP is answered with 200 and stays Manual (edgexfoundry's matrix: Geovision, Bosch).
    CLOCK_STAYS_MANUAL = "clock_stays_manual"
    # Dahua: the zone is read as `GMT+08:00`, east of Greenwich with a plus, whatever was written.
    ZONE_AS_GMT = "zone_as_gmt"
    # Hikvision: `CST-8:00:00`, always that name, with seconds; summer time is cut off.
    ZONE_AS_CST = "zone_as_cst"
    # No user is free: ter:TooManyUsers.
    FULL_USER_LIST = "full_user_list"
    # ONVIF's users are not those of the web page and of RTSP, whose passwords stay (agsh/onvif#112).
    SEPARATE_WEB_USERS = "separate_web_users"
    # All OSDs have one token; writing to it changes the first.
    SAME_OSD_TOKENS = "same_osd_tokens"
    # One plain text, whatever the options say.
    ONE_TEXT_OSD = "one_text_osd"
    # The imaging service stands in GetServices alone, so that those who ask GetCapabilities miss it
    # (FalkTannhaeuser/python-onvif-zeep, "Device doesn't support service: imaging").
    IMAGING_NOT_IN_CAPABILITIES = "imaging_not_in_capabilities"


def parse(names: Iterable[str]) -> frozenset[Quirk]:
    """The switches of those names. ValueError for a name that is none, with the nearest one that is."""
    known = list(Quirk)
    found = set()
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f": did you mean {str(near[0])!r}?" if near else ""
            raise ValueError(f"no quirk {name!r}{hint}")
        found.add(Quirk(name))
    return frozenset(found)
