"""The contract kit catches what it is there to catch: drivers that are wrong on purpose fail the right check."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
ACME = HERE.parent / "third_party" / "bridge-driver-acme"

# What is wrong, the check that has to fail, and what the driver's author has to be told.
BROKEN = (
    ("ClaimsDiscovery", "it_has_the_capabilities_that_it_declares_and_no_others", "discover() is missing"),
    ("HidesItsEvents", "it_has_the_capabilities_that_it_declares_and_no_others", "EVENTS is not declared"),
    ("HidesItsStreams", "a_healthy_device_is_read", "STREAMS is not declared"),
    ("ClaimsStreams", "a_healthy_device_is_read", "reports no stream for channel"),
    ("WantsAnArgument", "its_methods_are_called_as_the_contract_says", "is called as poll(self)"),
    ("TakesAnything", "its_config_refuses_unknown_keys", "extra='forbid'"),
    ("ExplainsNothing", "its_config_explains_itself", "Config.timeout has no description"),
    ("TakesBadConfigs", "invalid_configs_are_refused", "is taken"),
    ("OpensASocket", "importing_it_does_nothing", "opens a socket"),
    ("SetsUpLogging", "importing_it_does_nothing", "changes the root logger"),
    ("ConnectsWhenMade", "making_one_does_nothing", "opens a socket"),
    ("WritesWhenMade", "making_one_does_nothing", "for writing"),
    ("ReadsTheClock", "its_clock_and_its_log_are_those_it_was_given", "io.clock"),
    ("CountsInTheModule", "a_whole_run_leaves_the_process_as_it_was", "_polls changed during a run"),
    ("ChangesTheEnvironment", "a_whole_run_leaves_the_process_as_it_was", "os.environ changed"),
    ("RemembersForAll", "two_of_them_share_nothing", "identify themselves alike"),
    ("LeaksATask", "a_whole_run_leaves_the_process_as_it_was", "the driver creates tasks: _for_ever"),
    ("LeaksATask", "close_is_safe_twice", "after close(), tasks go on"),
    ("LeaksASocket", "close_is_safe_twice", "after close(), sockets stay open"),
    ("SwallowsCancellation", "it_can_be_cancelled_wherever_it_waits[poll]", "let CancelledError pass"),
    ("LeavesItsSubscription", "close_while_it_listens", "events() goes on after close()"),
    ("LeavesItsSubscription", "what_nobody_knows_is_passed_on", "1 subscriptions are left on the device"),
    ("NeedsOpen", "close_is_safe_without_open", "_opened"),
    ("ListensOnAfterClose", "close_while_it_listens", "events() goes on after close()"),
    ("SubscribesAnewAfterACrash", "a_crash_leaves_no_subscription_for_long", "keep what names it in io.memory"),
    ("UnsubscribesEverybody", "it_lets_go_of_nobody_else_s_subscription", "0 are left when one closes"),
    ("FollowsTheRedirect", "a_redirect_is_not_followed", "follows a redirect to another host"),
    ("HangsInABlackHole", "a_fault_is_called_by_its_name[black_hole]", "does not end within 1.5 s"),
    ("HangsInABlackHole", "a_fault_is_called_by_its_name[drip]", "does not end within 1.5 s"),
    ("LetsForeignErrorsOut", "a_fault_is_called_by_its_name[html]", "has to raise ProtocolError or Unreachable"),
    ("LetsForeignErrorsOut", "a_fault_is_called_by_its_name[half_answer]", "has to raise ProtocolError or Unreachable"),
    ("ReadsItAll", "no_answer_fills_the_memory[huge]", "MB of memory"),
    ("ReadsItAll", "no_answer_fills_the_memory[endless]", "MB of memory"),
    ("RetriesAWrongPassword", "a_wrong_password_is_tried_once", "sends a wrong password 2 times"),
    ("CallsEverythingUnreachable", "a_wrong_password_is_tried_once", "has to raise AuthFailed"),
    ("NeedsTheRightTime", "a_clock_six_hours_off_does_not_matter", "its clock is wrong"),
    ("SwallowsUnknownTopics", "what_nobody_knows_is_passed_on", "is swallowed"),
    ("NeverResyncs", "what_happens_arrives_once_and_in_order", "did not yield EventKind.RESYNC"),
    ("DropsRepeats", "two_equal_events_are_two", "rings twice"),
    ("SaysEverythingTwice", "what_happens_arrives_once_and_in_order", "1 things happened, 2 events arrived"),
    ("ShufflesEvents", "a_flood_keeps_its_order", "in another order, first at 77"),
    ("MarksNothing", "what_a_device_only_repeats_is_marked", "has initial=True"),
    ("MarksNothing", "it_notices_a_lost_subscription", "as news"),
    ("LosesTheTime", "what_happens_arrives_once_and_in_order", "has no source_time"),
    ("EndsForGoodAfterAReboot", "it_listens_again_after_a_reboot", "did not yield EventKind.RESYNC"),
    ("LogsThePassword", "no_secret_is_ever_told", "the password is in the log"),
    ("PrintsThePassword", "no_secret_is_ever_told", "the password is in the log"),
    ("QuotesThePassword", "no_secret_is_ever_told", "the password is in the result of probe()"),
    ("KeepsThePassword", "no_secret_is_ever_told", "the password is in the result of memory"),
    ("KeepsReplies", "many_of_them_fit", "KB of memory"),
    ("Computes", "many_of_them_fit", "ms of CPU"),
    ("BlocksTheLoop", "a_bad_neighbour_delays_nobody", "never block the event loop"),
    # -- settings and commands
    ("ClaimsSettings", "it_has_the_capabilities_that_it_declares_and_no_others", "apply() is missing"),
    ("HidesItsSettings", "it_has_the_capabilities_that_it_declares_and_no_others", "SETTINGS is not declared"),
    ("ClaimsToReboot", "it_has_the_capabilities_that_it_declares_and_no_others", "command() is missing"),
    ("HidesItsCommands", "it_has_the_capabilities_that_it_declares_and_no_others", "command() is there, and"),
    ("ListsWhatIsNone", "its_table_of_settings_is_one", "has osd_text.colour"),
    ("ForgetsTheLight", "its_table_of_settings_is_one", "settings has no vendor.acme.light"),
    ("ExplainsNoLight", "its_table_of_settings_is_one", "VendorSettings.light has no description"),
    ("TakesAnyVendorSetting", "its_table_of_settings_is_one", "extra='forbid'"),
    ("GivesNoSamples", "its_table_of_settings_is_one", "settings_samples is empty"),
    ("ListsTooLittle", "reading_writes_nothing", "settings has no osd_text.text"),
    ("WritesWhenItReads", "reading_writes_nothing", "writes to the device"),
    ("ReadsItAllAlways", "reading_writes_nothing", "it tells osd_text"),
    ("KnowsNoLimits", "reading_writes_nothing", "what was read would be refused: osd_text"),
    ("TellsASecret", "reading_writes_nothing", "no secret is ever read"),
    ("TakesAFaultForNothing", "a_fault_at_settings_is_called_by_its_name[closed]", "has to raise Unreachable"),
    ("CallsAnOutageARefusal", "a_fault_at_settings_is_called_by_its_name[black_hole]", "has to raise Unreachable"),
    ("TriesAPasswordAgain", "a_wrong_password_at_settings_is_tried_once", "sends a wrong password 3 times"),
    ("WritesNothing", "what_was_written_is_read", "was to set osd_text.text to Gate"),
    ("WritesHalf", "what_was_written_is_read", "was to set osd_text.position to lower_left"),
    ("ForgetsTheReboot", "what_was_written_is_read", "was to set hostname.name to gate-1"),
    ("ResetsTheRest", "what_was_written_is_read", "also changes vendor.acme.light"),
    ("WritesOnce", "what_was_written_is_read", "a second time raises"),
    ("NeverGoesBack", "what_was_written_is_read", "put back to how it was with apply(), and it is not"),
    ("CallsARefusalNonsense", "a_refusal_is_called_by_its_name", "has to raise Rejected"),
    ("SwallowsCancellationWhenItWrites", "it_can_be_cancelled_wherever_it_reads_and_writes", "let CancelledError pass"),
    ("LeaksASocketWhenItWrites", "it_can_be_cancelled_wherever_it_reads_and_writes", "sockets stay open"),
    ("LogsTheStep", "no_secret_of_a_step_is_ever_told", "the password is in the log"),
    ("QuotesTheStep", "no_secret_of_a_step_is_ever_told", "the password is in the result of apply() with"),
    ("RemembersTheStep", "no_secret_of_a_step_is_ever_told", "the password is in the result of memory"),
    ("SaysNothingOfItsSecret", "no_secret_of_a_step_is_ever_told", "say nothing of sip.password"),
    ("RebootsTwice", "it_reboots_once_when_told_to", "it reboots 2 times"),
    ("RebootsInItsHead", "it_reboots_once_when_told_to", "the device does not reboot"),
    ("TakesAnyCommand", "what_it_was_not_made_for_is_unsupported", "has to raise Unsupported"),
)

SUITES = {
    name: file
    for file in (HERE / "broken").glob("suite*.py")
    for name in re.findall(r"class Test(\w+)", file.read_text())
}
Results = Mapping[tuple[str, str], str]


@functools.cache
def results(suite: Path) -> Results:
    """What each check that is asked for in a file said: its message, or "passed"."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        run = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "--tb=line", f"--junitxml={report}"),
                *("-o", "asyncio_mode=strict"),
                *(f"{suite}::Test{driver}::test_{check}" for driver, check, _ in BROKEN if SUITES[driver] == suite),
            ],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ACME / 'src'}{os.pathsep}{ROOT}"},
            capture_output=True,
            text=True,
            timeout=110,
        )
        assert report.is_file(), f"{run.stdout}\n{run.stderr}"
        found = {}
        for case in ElementTree.parse(report).getroot().iter("testcase"):
            failed = case.find("failure")
            said = (
                failed.get("message", "") if failed is not None else "passed" if not len(case) else "error or skipped"
            )
            found[case.get("classname", "").rpartition(".Test")[2], case.get("name", "").removeprefix("test_")] = said
        return found


@pytest.mark.parametrize(("driver", "check", "message"), BROKEN, ids=lambda part: None if " " in part else part)
def test_it_is_caught(driver: str, check: str, message: str) -> None:
    assert message in results(SUITES[driver])[driver, check]


def test_every_broken_driver_is_asked_for() -> None:
    assert set(SUITES) == {driver for driver, _, _ in BROKEN}
