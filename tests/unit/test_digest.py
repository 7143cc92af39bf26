"""HTTP Digest against the RFC's own examples, and challenges as devices really send them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.model import Credentials
from bridge.secrets import Secret
from drivers.transports import digest
from drivers.transports.digest import Digest, challenges

MUFASA = Credentials("Mufasa", Secret("Circle of Life"))


def header(value: str) -> dict[str, str]:
    scheme, _, rest = value.partition(" ")
    assert scheme == "Digest"
    return {m[1]: m[2] if m[2] is not None else m[3] for m in re.finditer(r'(\w+)=(?:"([^"]*)"|([^,\s]+))', rest)}


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        # RFC 7616, 3.9.1
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_rfc_7616(algorithm: str, response: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digest.secrets, "token_hex", lambda n: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ")
    one = Digest(MUFASA)
    assert one.accept(
        challenges(
            [
                f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, '
                'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", '
                'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
            ]
        )
    )
    sent = header(one.authorize("GET", "/dir/index.html"))
    assert sent["response"] == response
    assert (sent["nc"], sent["qop"], sent["algorithm"]) == ("00000001", "auth", algorithm)


def test_rfc_2617_without_qop() -> None:
    # RFC 2069's example, as RFC 2617 3.5 servers without qop expect it.
    one = Digest(Credentials("Mufasa", Secret("CircleOfLife")))
    assert one.accept(challenges(['Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"']))
    sent = header(one.authorize("GET", "/dir/index.html"))
    assert sent["response"] == "1949323746fe6a43ef61f9606e7febea"
    assert "nc" not in sent


def test_the_count_goes_up_and_starts_anew_with_a_nonce() -> None:
    one = Digest(MUFASA)
    one.accept(challenges(['Digest realm="r", nonce="a", qop="auth"']))
    assert [header(one.authorize("GET", "/"))["nc"] for _ in range(2)] == ["00000001", "00000002"]
    one.accept(challenges(['Digest realm="r", nonce="b", qop="auth", stale=TRUE']))
    assert one.stale
    assert header(one.authorize("GET", "/"))["nc"] == "00000001"


@pytest.mark.parametrize(
    ("values", "schemes"),
    [
        (['Basic realm="x"', 'Digest realm="r", nonce="n"'], ["basic", "digest"]),
        (['Basic realm="x", Digest realm="r", nonce="n"'], ["basic", "digest"]),
        (['Digest realm="a, Basic b", nonce="n"'], ["digest"]),
        (["digest realm=r,nonce=n"], ["digest"]),
        (["Negotiate"], ["negotiate"]),
        ([""], []),
    ],
)
def test_challenges(values: list[str], schemes: list[str]) -> None:
    assert [one.scheme for one in challenges(values)] == schemes


def test_the_strongest_of_several_is_taken() -> None:
    one = Digest(MUFASA)
    assert one.accept(
        challenges(['Digest realm="r", nonce="m", algorithm=MD5', 'Digest realm="r", nonce="s", algorithm=SHA-256'])
    )
    assert header(one.authorize("GET", "/"))["algorithm"] == "SHA-256"


@pytest.mark.parametrize(
    "value",
    ['Basic realm="x"', 'Digest realm="r"', 'Digest realm="r", nonce="n", algorithm=WHIRLPOOL',
     'Digest realm="r", nonce="n", qop="auth-int"'],
)  # fmt: skip
def test_what_cannot_be_answered_is_not_accepted(value: str) -> None:
    assert not Digest(MUFASA).accept(challenges([value]))


@given(st.lists(st.text(max_size=200), max_size=4))
def test_no_header_breaks_it(values: list[str]) -> None:
    one = Digest(MUFASA)
    if one.accept(challenges(values)):
        assert "Circle" not in one.authorize("GET", "/x")
