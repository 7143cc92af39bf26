"""An inventory for tests: drivers that are not there, and short ways to load a text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any, ClassVar, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from bridge import registry
from bridge.config.load import InvalidInventory, Inventory, Problem, load_bytes
from bridge.config.types import Duration, ExistingFile, SecretValue
from bridge.driver import AnyDriver, Driver
from bridge.model import Capability, Kind

FILE = Path("config.yaml")


class Account(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    login: str = Field(description="who")
    token: SecretValue | None = Field(None, description="the secret of that account")


class BoxConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    port: int = Field(80, ge=1, le=65535, description="TCP port")
    mode: Literal["fast", "slow"] = Field("fast", description="how quick")
    gap: Duration = Field(1.0, description="pause")
    size: int | str | None = Field(None, description="either")
    limit: int | None = Field(5, description="null means the built-in five")
    accounts: tuple[Account, ...] = Field((), description="more logins")
    quiet: bool = Field(False, description="say less")
    file: ExistingFile | None = Field(None, description="a file")

    @field_validator("size")
    @classmethod
    def _not_thirteen(cls, value: object) -> object:
        if value == 13:
            raise ValueError("13 brings bad luck")
        if value == 14:
            raise KeyError(value)
        return value

    @model_validator(mode="after")
    def _fast_needs_a_gap(self) -> BoxConfig:
        if self.mode == "slow" and not self.gap:
            tokens = [account.token.reveal() for account in self.accounts if account.token]
            raise ValueError(f"slow needs a gap; tokens are {tokens}")
        return self

    @model_validator(mode="before")
    @classmethod
    def _talks_too_much(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("port") == 666:
            raise ValueError(f"not with {data.get('accounts')}")
        return data


class BoxDriver(Driver[BoxConfig]):
    name: ClassVar[str] = "box"
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.CAMERA, Kind.INTERCOM, Kind.SERVER, Kind.SWITCH})
    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    Config: ClassVar[type[BaseModel]] = BoxConfig
    VendorSettings: ClassVar[type[BaseModel] | None] = BoxConfig


class PanelConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    community: SecretValue = Field(description="required, and secret")


class PanelDriver(Driver[PanelConfig]):
    name: ClassVar[str] = "panel"
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.INTERCOM})
    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    Config: ClassVar[type[BaseModel]] = PanelConfig


DRIVERS: Mapping[str, type[AnyDriver]] = {"box": BoxDriver, "panel": PanelDriver}


@contextmanager
def stub_drivers() -> Iterator[None]:
    """Two drivers that work, `box` and `panel`, and one that does not, `broken`."""

    def load(name: str) -> type[AnyDriver]:
        if name == "broken":
            raise registry.BrokenDriver("driver 'broken' of a-package 1.0 does not import: ImportError: no such thing")
        return DRIVERS[name]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "names", lambda: [*DRIVERS, "broken"])
        patch.setattr(registry, "load", load)
        yield


def read(text: str, environ: Mapping[str, str] | None = None, path: Path = FILE) -> Inventory:
    return load_bytes(dedent(text).encode(), path, environ=environ or {})


def problems(text: str, environ: Mapping[str, str] | None = None, path: Path = FILE) -> list[Problem]:
    """All problems of a text, warnings among them."""
    try:
        return list(read(text, environ, path).warnings)
    except InvalidInventory as invalid:
        return list(invalid.problems)


def errors(text: str, environ: Mapping[str, str] | None = None) -> list[str]:
    return [str(problem) for problem in problems(text, environ) if problem.severity == "error"]


def warnings(text: str, environ: Mapping[str, str] | None = None) -> list[str]:
    return [str(problem) for problem in problems(text, environ) if problem.severity == "warning"]


# What every inventory here needs so that the tests see only what they are about.
HEAD = """\
delivery: {sinks: [{name: a, type: pusher_server, key: k, secret: env:S}]}
"""
ENV = {"S": "sink-secret"}
