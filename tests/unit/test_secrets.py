"""Secrets print as stars, and are masked wherever somebody else prints them."""

from __future__ import annotations

import json
import logging
import pickle

import pytest
import structlog

from bridge import log
from bridge.secrets import Redactor, Secret

CANARY = "c4n4ry-p4ss"


def test_a_secret_shows_itself_only_when_asked() -> None:
    secret = Secret(CANARY)
    assert CANARY not in f"{secret} {secret!r} {[secret]}"
    assert secret.reveal() == CANARY
    assert secret == Secret(CANARY)
    assert secret != Secret("other")
    with pytest.raises(TypeError):
        pickle.dumps(secret)


def test_the_redactor_masks_what_it_learned_and_passwords_in_urls() -> None:
    redact = Redactor()
    redact.learn([Secret(CANARY), Secret("ab")])
    assert redact(f"login with {CANARY} failed") == "login with *** failed"
    assert redact("rtsp://admin:tops3cret@192.0.2.1/1") == "rtsp://***@192.0.2.1/1"
    assert redact("cabbage") == "cabbage", "what is shorter than four letters would mask half of every text"


@pytest.mark.parametrize("form", ["json", "text"])
def test_logs_are_masked_also_those_of_libraries_and_stack_traces(
    form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    redact = Redactor()
    redact.learn([Secret(CANARY)])
    log.configure("info", form, redact)
    try:
        password = CANARY
        structlog.get_logger("x").info("hello", password=password, url="http://u:p4ssw0rd@192.0.2.1/")
        logging.getLogger("library").warning("sent %s", password)
        try:
            raise ValueError(f"bad {password}")
        except ValueError as error:
            structlog.get_logger("x").error("oops", exc_info=error)
        printed = capsys.readouterr().err
    finally:
        structlog.reset_defaults()
        logging.getLogger().handlers.clear()
    assert CANARY not in printed
    assert "p4ssw0rd" not in printed
    assert printed.count("***") >= 4
    assert "ValueError" in printed
    if form == "json":
        assert all(json.loads(line) for line in printed.splitlines())
