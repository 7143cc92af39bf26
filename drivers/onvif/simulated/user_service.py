"""Accounts, after devicemgmt.wsdl and ONVIF Core, "Security": all of a request is done or none of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from lxml import etree

from drivers.onvif.simulated import reading
from drivers.onvif.simulated.settings import User
from drivers.onvif.simulated.soap import Call, SoapFault, children, content, invalid_value, local_name
from drivers.onvif.simulated.state import DeviceState

LEVELS = ("User", "Operator", "Administrator")


def get_users(state: DeviceState, call: Call) -> str:
    users = "".join(
        f"<tds:User><tt:Username>{content(name)}</tt:Username><tt:UserLevel>{user.level}</tt:UserLevel></tds:User>"
        for name, user in state.settings.all(User).items()
    )
    return f"<tds:GetUsersResponse>{users}</tds:GetUsersResponse>"


def create_users(state: DeviceState, call: Call) -> str:
    made: dict[str, User] = {}
    known = state.settings.all(User)
    for element in _users(call):
        name, level = _name(element), _level(element)
        least, most = state.make.limits.users.name
        if len(name) < least:
            raise _prohibited("UsernameTooShort", "The username is too short")
        if len(name) > most:
            raise _prohibited("UsernameTooLong", "The username is too long")
        if name in known or name in made:
            raise _prohibited("UsernameClash", "Username already exists")
        made[name] = User(level, _password(state, _given_password(element)))
    if len(known) + len(made) > state.make.limits.users.most:
        raise SoapFault("Receiver", ("ter:Action", "ter:TooManyUsers"), "Maximum number of supported users exceeded")
    _put(state, made)
    return "<tds:CreateUsersResponse/>"


def set_user(state: DeviceState, call: Call) -> str:
    """Without a Password the user has none from then on: what a device does with it is left open, and some do this."""
    changed: dict[str, User] = {}
    for element in _users(call):
        name, level = _name(element), _level(element)
        old = state.settings.get(User, name)
        if old is None:
            raise invalid_value("UsernameMissing", "Username NOT recognized")
        password = _given_password(element)
        changed[name] = replace(old, level=level, password=_password(state, password) if password else "")
    _keep_an_administrator({**state.settings.all(User), **changed})
    _put(state, changed)
    return "<tds:SetUserResponse/>"


def delete_users(state: DeviceState, call: Call) -> str:
    names = [(child.text or "").strip() for child in children(call.element) if local_name(child) == "Username"]
    known = state.settings.all(User)
    if not names:
        raise reading.invalid_args("Username is missing")
    if not set(names) <= known.keys():
        raise invalid_value("UsernameMissing", "Username NOT recognized")
    _keep_an_administrator({name: user for name, user in known.items() if name not in names})
    for name in names:
        state.drop(User, name)
    return "<tds:DeleteUsersResponse/>"


def _put(state: DeviceState, users: Mapping[str, User]) -> None:
    for name, user in users.items():
        state.put(name, user)


def _keep_an_administrator(users: Mapping[str, User]) -> None:
    if not any(user.level == "Administrator" for user in users.values()):
        raise invalid_value("FixedUser", "The last administrator stays")


def _users(call: Call) -> list[etree._Element]:
    found = [child for child in children(call.element) if local_name(child) == "User"]
    if not found:
        raise reading.invalid_args("User is missing")
    return found


def _name(element: etree._Element) -> str:
    return reading.text(element, "Username")


def _level(element: etree._Element) -> str:
    level = reading.text(element, "UserLevel")
    if level == "Anonymous":
        raise _prohibited("AnonymousNotAllowed", "User level anonymous is not allowed")
    if level not in LEVELS:
        raise reading.invalid_args(f"UserLevel is one of {', '.join(LEVELS)}")
    return level


def _given_password(element: etree._Element) -> str:
    return reading.optional(element, "Password") or ""


def _password(state: DeviceState, password: str) -> str:
    limits = state.make.limits.users
    least, most = limits.password
    if len(password) > most:
        raise _prohibited("PasswordTooLong", "The password is too long")
    weak = limits.mixed and (password.isalpha() or password.isdigit())
    if len(password) < least or weak:
        raise _prohibited("Password", "Too weak password")
    return password


def _prohibited(subcode: str, reason: str) -> SoapFault:
    return SoapFault("Sender", ("ter:OperationProhibited", f"ter:{subcode}"), reason)
