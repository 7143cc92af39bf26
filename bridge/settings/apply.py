"""One camera and one template: read, plan, back up, write, read back, compare; on failure the way back.

The camera ends as wanted or as before, and the outcome says which, in a sentence that a technician can act on. Where
it went away in between, its return is waited for; when it does not come back in time, nobody knows, and the outcome
says that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

from bridge.clock import Clock
from bridge.driver import AnyDriver
from bridge.errors import AuthFailed, DeviceError, Fault, Locked, Rejected, Throttled, Unsupported
from bridge.model import CameraStatus, Capability, Channel, Command, Device, Identity, Kind
from bridge.secrets import Secret
from bridge.settings.plan import Change, Configuration, Plan, back, plan, shown
from bridge.settings.templates import Template, Unfilled, expand
from bridge.settings.vocabulary import Flat, Role, Settings, flatten, section_of, split
from bridge.state.device import DeviceState
from bridge.state.reachability import Reach

RECOVERY = 180.0  # seconds in which a camera that went away has to come back
RETRY = 2.0  # seconds between two looks whether it is back
ROUNDS = 2  # how often what is still missing is written
LOOKS = 3  # at what was written, before a device is said not to have taken it: some take a moment

Result = Literal["as_wanted", "unchanged", "as_before", "not_known"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """`reason` is None when all is as wanted."""

    result: Result
    reason: str | None = None
    changes: tuple[Change, ...] = ()
    hindered: bool = False  # something stood in the way that is no fault of the template: it is away, for one

    @property
    def ok(self) -> bool:
        return self.result in ("as_wanted", "unchanged")


class Camera(Protocol):
    """One channel of a device, whichever runner has it at the moment: a reload may put another in its place."""

    device: Device
    channel: Channel
    clock: Clock

    @property
    def state(self) -> DeviceState: ...

    def driver(self) -> AbstractAsyncContextManager[AnyDriver]:
        """The driver, for nobody else meanwhile. Raises Unsupported when the device is no longer in the inventory."""
        ...

    def known_secrets(self, wanted: Flat) -> Collection[str]:
        """The paths of secrets that were written to it before and have not changed."""
        ...

    async def remember_secrets(self, written: Flat) -> None: ...


class _Failed(Exception):
    """The reason why the camera has to go back to how it was; `tried` are the sections that were written to."""

    def __init__(self, reason: str, tried: Collection[str] = ()) -> None:
        super().__init__(reason)
        self.tried = tried


class _Away(Exception):
    """It does not answer any more, and did not come back in time."""


def obstacle(camera: Camera, template: Template) -> str | None:
    """Why nothing can be applied to the camera now; None when it can. Nothing is asked of the device."""
    device, state = camera.device, camera.state
    if not device.address:
        return "it is not set up yet: the inventory has no address for it"
    if state.reach.reach is not Reach.ONLINE:
        why = f" ({state.health.detail})" if state.health.detail else ""
        return f"it does not answer{why}: see to its power and network first"
    if not state.authorised:
        return f"it does not let the bridge in ({state.health.detail}): correct its credentials in the inventory first"
    identity = state.identity
    if identity is None or not (identity.manufacturer and identity.model):
        return "its manufacturer and model are not known yet: templates are chosen by them"
    if Capability.SETTINGS not in identity.capabilities:
        return f"the bridge cannot set up devices of this kind ({device.driver}, {identity.model})"
    if not template.match.fits(device, camera.channel, identity):
        return f"the template is not for this device ({identity.manufacturer} {identity.model})"
    if template.needs_streams and device.kind is not Kind.INTERCOM:
        one = state.cameras.get(camera.channel.key)
        if one is None or one.status.announced is not CameraStatus.ACTIVE:
            status = one.status.announced if one else "not known"
            return f"its streams are not all up (it is {status}): mend that first, or say needs_streams: false"
    return None


def sections(settings: Settings) -> list[str]:
    return list(dict.fromkeys(section_of(path) for path in flatten(settings)))


async def look(camera: Camera, template: Template) -> Plan:
    """The plan for a camera; nothing is written. Raises Unfilled, DeviceError."""
    return await _plan(camera, template, expand(template.settings, camera.device, camera.channel))


async def carry_out(
    camera: Camera,
    template: Template,
    *,
    back_up: Callable[[Plan], Awaitable[None]],
    agreed: str | None = None,
    begun: tuple[Sequence[Change], Flat] | None = None,
    about: tuple[str, ...] = (),
) -> Outcome:
    """Apply a template. `back_up` is awaited with the plan before the first write. `agreed` is the digest of a plan
    that somebody looked at; `begun` is what an earlier life of the bridge changed, and what was there before."""
    reason = obstacle(camera, template)
    if reason is not None and begun is None:
        return Outcome("as_before", reason, hindered=True)
    try:
        wanted = expand(template.settings, camera.device, camera.channel)
        first = await _plan(camera, template, wanted) if begun is None else await _patiently(camera, template, wanted)
    except Unfilled as error:
        return Outcome("as_before", str(error))
    except _Away as error:
        return Outcome("not_known", str(error), tuple(begun[0]) if begun else ())
    except DeviceError as error:
        return Outcome("as_before", f"its settings cannot be read: {error.detail}", hindered=True)
    if first.refusals:
        told = "; ".join(map(str, first.refusals))
        if begun is None:
            return Outcome("as_before", told)
        return await _undo(camera, Plan(tuple(begun[0])), begun[1], told)
    if agreed is not None and begun is None and first.digest(*about) != agreed:
        return Outcome("as_before", "it has changed since the plan was made: look at a new plan first")
    if first.empty:
        return Outcome("as_wanted" if begun else "unchanged", None, tuple(begun[0]) if begun else ())
    before = begun[1] if begun else first.current
    whole = Plan(_united(begun[0] if begun else (), first.changes), (), before)
    if begun is None:
        await back_up(first)
    try:
        await _write(camera, template, wanted, first)
    except (_Failed, Unfilled) as error:
        tried = error.tried if isinstance(error, _Failed) else ()
        return await _undo(camera, whole, before, f"{error}{_lasting(whole, before, tried)}")
    except _Away as error:
        return Outcome("not_known", str(error), whole.changes)
    await camera.remember_secrets({one.path: one.after for one in whole.changes if isinstance(one.after, Secret)})
    return Outcome("as_wanted", None, whole.changes)


async def restore(camera: Camera, changes: Sequence[Change], before: Flat, reason: str = "") -> Outcome:
    """Put a camera back to how it was before these changes; `reason` is why."""
    return await _undo(camera, Plan(tuple(changes)), before, reason)


async def _plan(camera: Camera, template: Template, wanted: Settings) -> Plan:
    async with camera.driver() as driver:
        now = await driver.read_settings(camera.channel, sections(wanted))
    found = _planned(camera, now, wanted, template)
    own = camera.device.credentials.username if camera.device.credentials else None
    for change in found.changes:
        section, name, leaf = split(change.path)
        if section == "users" and name == own and (leaf != "role" or change.after is not Role.ADMINISTRATOR):
            # The bridge would lock itself out, and could not even undo it.
            raise Unfilled(f"{change.path}: the bridge itself logs in with this account; templates leave it alone")
    return found


def _planned(camera: Camera, now: Configuration, wanted: Settings, template: Template) -> Plan:
    flat, current = flatten(wanted), flatten(now.settings)
    there = {split(path)[:2] for path in current}
    # An account that was deleted meanwhile has no password any more.
    known = [path for path in camera.known_secrets(flat) if split(path)[:2] in there]
    return plan(now, wanted, template.fit, known)


async def _write(camera: Camera, template: Template, wanted: Settings, todo: Plan) -> None:
    """Raises _Failed, _Away, Unfilled."""
    tried: list[str] = []
    for _ in range(ROUNDS):
        reboot, lost = False, ""
        for step in todo.steps():
            tried.append(step.section)
            try:
                async with camera.driver() as driver:
                    reboot |= await driver.apply(camera.channel, step)
            except Rejected as error:
                raise _Failed(f"it refuses {step.section}: {error.detail}", tried) from None
            except (Unsupported, AuthFailed, Locked, Fault) as error:
                raise _Failed(f"it does not take {step.section}: {error.detail}", tried) from None
            except DeviceError as error:
                # Whether it took the step, a look will tell once it is back.
                lost = error.detail
                break
        if reboot and not lost:
            await _reboot(camera, template, tried)
        # A password that was taken cannot be read back.
        taken = set() if lost else {one.path for one in todo.changes if isinstance(one.after, Secret)}
        for look in range(LOOKS):
            now = await _patiently(camera, template, wanted)
            left = [one for one in now.changes if one.path not in taken]
            if not left and not now.refusals:
                return
            if lost:
                break
            if look + 1 < LOOKS:
                await camera.clock.sleep(RETRY / 2)
        else:
            told = [_untrue(one, todo) for one in left] or [str(one) for one in now.refusals]
            raise _Failed("; ".join(told), tried)
        todo = now
    raise _Failed(f"the connection was lost again and again while it was written to ({lost})", tried)


def _untrue(left: Change, done: Plan) -> str:
    """What a device did that answered with "OK"."""
    tried = next((one for one in done.changes if one.path == left.path), left)
    if left.before == tried.before:
        return f"it answered OK and did nothing: {left.path} is still {shown(left.before)}, not {shown(left.after)}"
    return f"it answered OK and set {left.path} to {shown(left.before)}, not {shown(left.after)}"


async def _reboot(camera: Camera, template: Template, tried: Collection[str]) -> None:
    if not template.reboot:
        why = "it has to be rebooted before this holds, and the template does not allow that (reboot: true)"
        raise _Failed(why, tried)
    try:
        async with camera.driver() as driver:
            await driver.command(Command(Capability.REBOOT))
    except (Rejected, Unsupported) as error:
        raise _Failed(f"it has to be rebooted before this holds, and refuses to: {error.detail}", tried) from None
    except DeviceError:
        pass  # it may well have gone before it answered
    # It answers a moment longer before it goes.
    await camera.clock.sleep(RETRY)


async def _patiently(camera: Camera, template: Template, wanted: Settings) -> Plan:
    """Look how the camera is, as soon as it is there. Raises _Away, Unfilled."""
    until = camera.clock.now().mono + RECOVERY
    while True:
        try:
            return await _plan(camera, template, wanted)
        except DeviceError as error:
            if isinstance(error, AuthFailed | Locked | Unsupported) or camera.clock.now().mono >= until:
                raise _Away(
                    f"it went away while it was being set up and cannot be asked how it is ({error.detail}); "
                    "it is put back to how it was once it answers again"
                ) from None
            wait = error.seconds if isinstance(error, Throttled) else RETRY
        await camera.clock.sleep(min(wait, RECOVERY))


async def _undo(camera: Camera, done: Plan, before: Flat, reason: str) -> Outcome:
    """The way back, looked at as well. `reason` is why."""
    until = camera.clock.now().mono + RECOVERY
    names = list(dict.fromkeys(section_of(change.path) for change in done.changes))
    last = ""
    written = 0
    while True:
        try:
            async with camera.driver() as driver:
                now = await driver.read_settings(camera.channel, names)
                todo = back(now, before, done)
                if todo.empty:
                    return Outcome("as_before", reason or None, done.changes)
                if written >= ROUNDS:
                    last = "; ".join(
                        f"{one.path} is {shown(one.before)}, it was {shown(one.after)}" for one in todo.changes
                    )
                    break
                written += 1
                for step in todo.steps():
                    await driver.apply(camera.channel, step)
        except DeviceError as error:
            last = error.detail
            if isinstance(error, Rejected | AuthFailed | Locked | Unsupported) or camera.clock.now().mono >= until:
                break
            await camera.clock.sleep(RETRY)
    why = f"{reason}; " if reason else ""
    return Outcome("not_known", f"{why}it could not be put back to how it was ({last})", done.changes)


def _lasting(done: Plan, before: Flat, tried: Collection[str]) -> str:
    """What no way back undoes: nobody knows what a password was."""
    paths = [
        change.path
        for change in done.changes
        if isinstance(change.after, Secret)
        and section_of(change.path) in tried
        and any(split(path)[:2] == split(change.path)[:2] for path in before)
    ]
    return f"; it may have the new {', '.join(paths)} all the same, which cannot be taken back" if paths else ""


def _united(first: Sequence[Change], then: Sequence[Change]) -> tuple[Change, ...]:
    found: Mapping[str, Change] = {change.path: change for change in (*then, *first)}
    return tuple(found.values())


def identity_mark(identity: Identity) -> str:
    """What tells a device from the one that took its place: its serial number, else its MAC addresses."""
    return identity.serial or ",".join(sorted(identity.macs))
