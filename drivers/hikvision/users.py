"""Accounts on a panel (Security/users)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bridge.errors import Rejected
from bridge.settings.limits import FLAG, Limit, OneOf, Text
from bridge.settings.vocabulary import Role, split
from drivers.hikvision.api import Api, NotThere
from drivers.hikvision.words import document, drop, put, written
from drivers.transports import xml

USERS = "/ISAPI/Security/users"
_LEVELS: Mapping[str, Role] = {
    "Administrator": Role.ADMINISTRATOR,
    "Operator": Role.OPERATOR,
    "Viewer": Role.USER,
}
_WORDS = {role: level for level, role in _LEVELS.items()}


class Users:
    __slots__ = ("_api",)

    def __init__(self, api: Api) -> None:
        self._api = api

    async def read(self) -> tuple[dict[str, Any], dict[str, Limit]]:
        try:
            found = await self._listed()
        except NotThere:
            return {}, {}
        values = {
            f"users.{name}.role": _LEVELS[level]
            for name, one in found.items()
            if (level := xml.text(one, "userLevel")) in _LEVELS
        }
        roles = OneOf(tuple(_LEVELS.values()))
        return values, {"users.*.role": roles, "users.*.password": Text(16, 8), "users.*.absent": FLAG}

    async def apply(self, changes: Mapping[str, Any]) -> bool:
        wanted: dict[str, dict[str, Any]] = {}
        for path, value in changes.items():
            _, name, leaf = split(path)
            wanted.setdefault(name, {})[leaf] = value
        reboot = False
        for name, fields in wanted.items():
            there = (await self._listed()).get(name)
            if fields.get("absent"):
                if there is not None and (number := xml.text(there, "id")).isdecimal():
                    # With its number, always: without one it would be all of them.
                    reboot |= (await self._api.write("DELETE", f"{USERS}/{number}")).reboot
                continue
            root = there if there is not None else xml.parse(document("User", id="0", userName=name))
            drop(root, "password")
            if "role" in fields:
                put(root, ("userLevel",), _WORDS[Role(fields["role"])])
            if "password" in fields:
                put(root, ("password",), fields["password"].reveal())
            elif there is None:
                raise Rejected(f"a new account needs a password: say users.{name}.password")
            method, path = ("POST", USERS) if there is None else ("PUT", f"{USERS}/{xml.text(there, 'id')}")
            reboot |= (await self._api.write(method, path, written(root))).reboot
        return reboot

    async def _listed(self) -> dict[str, xml.Element]:
        root = await self._api.xml(USERS)
        found = {name: one for one in xml.descendants(root, "User") if (name := xml.text(one, "userName"))}
        return dict(list(found.items())[:32])
