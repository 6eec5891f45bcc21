"""HTTP message signatures, with the examples that others have published."""

import base64

import pytest

from streamer.errors import ConfigError
from streamer.server.signatures import (
    Signature,
    SignatureError,
    SignatureVerifier,
    digest_of,
    read_secrets,
    signature_base,
)

KEY = "SGVsbG8sIEkgYW0gdGhlIEFQSSBrZXkh"
SECRET = base64.b64decode("TXlTdXBlclNlY3JldEtleVRlbGxOby0xITJAMyM0JDU=")
TARGET = "/api/v1/voicebiometrics/ws"
CREATED = 1641013200
COVERS = (
    '("@request-target" "@authority" "audiohook-organization-id" "audiohook-session-id" '
    '"audiohook-correlation-id" "x-api-key")'
)
HEADERS = {  # of the example in Genesys's documentation
    "host": "audiohook.example.com",
    "audiohook-organization-id": "d7934305-0972-4844-938e-9060eef73d05",
    "audiohook-session-id": "30b0e395-84d3-4570-ac13-9a62d8f514c0",
    "audiohook-correlation-id": "e160e428-53e2-487c-977d-96989bf5c99d",
    "x-api-key": KEY,
    "signature": "sig1=:NZBwyBHRRyRoeLqy1IzOa9VYBuI8TgMFt2GRDkDuJh4=:",
    "signature-input": (
        f'sig1={COVERS};keyid="{KEY}";nonce="VGhpc0lzQVVuaXF1ZU5vbmNl";alg="hmac-sha256"'
        f";created={CREATED};expires=3282026430"
    ),
}


def test_the_example_of_the_standard():
    """RFC 9421, B.2.5."""
    headers = {
        "date": "Tue, 20 Apr 2021 02:07:55 GMT",
        "host": "example.com",
        "content-type": "application/json",
        "signature-input": 'sig-b25=("date" "@authority" "content-type");created=1618884473'
        ';keyid="test-shared-secret"',
        "signature": "sig-b25=:pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:",
    }
    secret = base64.b64decode(
        "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ=="
    )
    signature = Signature.from_headers(headers)
    assert digest_of(secret, signature_base(signature, "/", headers)) == signature.digest


def test_the_example_of_genesys_is_good_once():
    """Within ten seconds."""
    verifier = SignatureVerifier({KEY: SECRET})
    verifier.verify(TARGET, HEADERS, CREATED + 5)
    with pytest.raises(SignatureError, match="come before"):
        verifier.verify(TARGET, HEADERS, CREATED + 6)


@pytest.mark.parametrize(
    ("changed", "now", "reason"),
    [
        ({}, CREATED + 11, "created"),
        ({}, CREATED - 4, "created"),
        ({"host": "elsewhere.example.com"}, CREATED, "wrong"),
        ({"audiohook-session-id": "another"}, CREATED, "wrong"),
        ({"x-api-key": "another"}, CREATED, "keyid"),
        ({"signature": "sig1=:AAAA:"}, CREATED, "wrong"),
        ({"signature": ""}, CREATED, "one of each"),
        ({"signature": "other=:AAAA:"}, CREATED, "one of each"),
        ({"signature-input": 'sig1=("host");created=1'}, CREATED, "does not cover"),
        ({"signature-input": f"sig1={COVERS};created=x"}, CREATED, "parameters"),
        ({"signature-input": "sig1=(" + '"a" ' * 9000 + "x"}, CREATED, "one of each"),
    ],
)
def test_what_is_amiss_is_said(changed, now, reason):
    """Nothing of the secret."""
    headers = {**HEADERS, **changed}
    with pytest.raises(SignatureError, match=reason) as error:
        SignatureVerifier({KEY: SECRET}).verify(TARGET, headers, now)
    assert SECRET.decode() not in str(error.value)


def test_another_secret_does_not_do():
    """Nor a key that is not known, whatever it signs with."""
    for secrets in ({KEY: b"\0" * 32}, {}):
        with pytest.raises(SignatureError, match="wrong"):
            SignatureVerifier(secrets).verify(TARGET, HEADERS, CREATED)


def test_secrets_are_read_from_a_file():
    """A key and a secret a line; notes and empty lines count for nothing."""
    text = f"# ours\n\n{KEY} {base64.b64encode(SECRET).decode()}\n"
    assert read_secrets(text, "file") == {KEY: SECRET}


@pytest.mark.parametrize("text", ["", "key", "key %%%", "key AAAA", f"key {'A' * 24} more"])
def test_a_file_of_other_lines_is_refused(text):
    """With what was expected."""
    with pytest.raises(ConfigError, match="file: expected"):
        read_secrets(text, "file")
