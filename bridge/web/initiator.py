"""On whose behalf something is done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from bridge.jobs.records import Initiator
from bridge.pushes.catalogue import TokenId
from bridge.web.routes import HEADERS, Input, Refused, Wrong
from bridge.web.tokens import Token

UserId = Annotated[int, Field(ge=1, le=2**53)]


class InitiatorSaid(Input):
    """On whose behalf: only for tokens that stand for no user themselves (the VMS's own)."""

    user_id: UserId = Field(description="id of the user in the VMS")
    token_id: TokenId | None = Field(None, description="id of their access token there")
    socket_id: Annotated[str, Field(pattern=HEADERS["X-Socket-ID"][0])] | None = Field(
        None, description="their websocket connection"
    )


class Doing(Input):
    """What every request that does something may say."""

    initiator: InitiatorSaid | None = Field(None, description="on whose behalf it is done")


def initiator(token: Token, query: Any, body: Any, headers: Mapping[str, str]) -> Initiator:
    """Who does it: as the body says, or the query where the body is a file. Raises Refused where the token stands for
    somebody else."""
    said: InitiatorSaid | None = getattr(body, "initiator", None)
    user_id: int | None = said.user_id if said else getattr(query, "user_id", None)
    socket_id = (said.socket_id if said else None) or headers.get("X-Socket-ID")
    if token.user_id is not None and user_id not in (None, token.user_id):
        where = Wrong("is not the user that the token stands for", **_PLACES["body" if said else "query"])
        raise Refused(403, f"the token {token.name} stands for one user and cannot name another", [where])
    return Initiator(user_id or token.user_id, said.token_id if said else None, socket_id)


_PLACES: dict[str, dict[str, str]] = {
    "body": {"pointer": "/initiator/user_id"},
    "query": {"parameter": "user_id"},
}
