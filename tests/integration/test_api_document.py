"""Requests made from the OpenAPI document by schemathesis, legal ones and others, on a whole bridge: nothing fails
inside, and every answer is as the document says."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from bridge.web import serving
from tests.integration.api_rig import bridge

EXAMPLES = int(os.environ.get("API_EXAMPLES", "6"))  # for each operation and phase
# Its own list has no word for a body that is too long.
REFUSALS = [400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 503]
TEMPLATE = {"id": 1, "name": "Time", "settings": {"ntp": {"servers": ["192.0.2.7"]}}}
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
)


@pytest.mark.timeout(300)  # some 1,800 requests
async def test_schemathesis_finds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "PER_SECOND", 10_000.0)
    (tmp_path / "schemathesis.toml").write_text(f"[checks]\nnegative_data_rejection.expected-statuses = {REFUSALS}\n")
    async with bridge(tmp_path, gate=True, config_templates=[TEMPLATE]) as one:
        await one.up()
        # A job that waits to be confirmed would hold answers back for minutes in all.
        monkeypatch.setattr(one.service.configurator, "wait", lambda job, seconds: asyncio.sleep(0.01))
        child = await asyncio.create_subprocess_exec(
            Path(sys.prefix) / "bin" / "schemathesis", "run", f"{one.url}/api/v1/openapi.json",
            "--header", f"Authorization: Bearer {one.write}", "--checks", ",".join(CHECKS),
            "--phases", "coverage,fuzzing", "--max-examples", str(EXAMPLES), "--generation-deterministic",
            "--request-timeout", "70", "--warnings", "off", "--no-color",
            cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        try:
            async with asyncio.timeout(240):
                said, _ = await child.communicate()
        finally:
            if child.returncode is None:
                child.kill()
        assert child.returncode == 0, said.decode()[-6000:]
        assert "No issues found" in said.decode()
