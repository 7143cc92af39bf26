"""Accounts (Device service). New ones first, then changes, then those that go: what fails late has done the least.

What is done goes by who is there at that moment, not by who was there when the step was made: an answer may have been
lost, and the step comes again.

A user is never set without a password, because that clears it (Core specification, SetUser). A template that changes a
role has to say the password as well.
"""

from __future__ import annotations

from collections.abc import Mapping

from bridge.errors import Rejected
from bridge.settings.limits import FLAG, Limit, OneOf, Text
from bridge.settings.plan import Step
from bridge.settings.vocabulary import Role, User, Value, split
from drivers.onvif import wsdl
from drivers.onvif.client import DEVICE
from drivers.onvif.configuration.unit import NOTHING, Told, Unit
from drivers.transports import xml

_ROLES: Mapping[str, Role] = {"Administrator": Role.ADMINISTRATOR, "Operator": Role.OPERATOR, "User": Role.USER}
_WIRE = {role: name for name, role in _ROLES.items()}
_USERS = 256


async def read(unit: Unit, section: str) -> Told:
    told = await unit.ask(DEVICE, wsdl.message("devicemgmt", "GetUsers"))
    if told is None:
        return NOTHING
    values: dict[str, Value] = {}
    for one in list(xml.children(told, "User"))[:_USERS]:
        role = _ROLES.get(xml.text(one, "UserLevel"))
        if (name := xml.text(one, "Username")) and role is not None and not any(letter.isspace() for letter in name):
            values[f"users.{name[:64]}.role"] = role
    limits: dict[str, Limit] = {
        "users.*.role": OneOf(tuple(_WIRE)),
        "users.*.password": Text(128, 1),
        "users.*.absent": FLAG,
    }
    return Told(values, limits)


async def write(unit: Unit, step: Step) -> bool:
    after = step.after.users or {}
    touched = list(dict.fromkeys(split(path)[1] for path in step.paths))
    wanted = [name for name in touched if not after[name].absent]
    for name in wanted:
        if after[name].password is None:
            raise Rejected(f"the user {name} needs a password in the template: without one it would be cleared")
    told = await unit.must(DEVICE, wsdl.message("devicemgmt", "GetUsers"))
    there = {xml.text(one, "Username") for one in xml.children(told, "User")}
    new = [name for name in wanted if name not in there]
    changed = [name for name in wanted if name in there]
    gone = [name for name in touched if name in there and name not in wanted]
    if new:
        users = [_entry(name, after[name]) for name in new]
        await unit.tell(DEVICE, wsdl.fresh("devicemgmt", "CreateUsers", User=users))
    if changed:
        users = [_entry(name, after[name]) for name in changed]
        await unit.tell(DEVICE, wsdl.fresh("devicemgmt", "SetUser", User=users))
    if gone:
        await unit.tell(DEVICE, wsdl.fresh("devicemgmt", "DeleteUsers", Username=gone))
    return False


def _entry(name: str, user: User) -> dict[str, str]:
    assert user.password is not None, "looked at before"
    role = _WIRE[user.role or Role.USER]
    return {"Username": name, "Password": user.password.reveal(), "UserLevel": role}
