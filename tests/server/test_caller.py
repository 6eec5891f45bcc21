"""Who calls, as telephone systems say it."""

import pytest

from streamer.server.protocols.caller import MAX_CALLER, caller_of


@pytest.mark.parametrize(
    ("metadata", "caller"),
    [
        ({}, ""),
        ({"queue": "sales", "stream": "MZ1"}, ""),
        ({"ani": "tel:+13172222222", "aniName": "Jane Doe", "dnis": "tel:+1800"},
         "Jane Doe, +13172222222"),
        ({"ani": "sip:jane@example.com", "aniName": ""}, "jane@example.com"),
        ({"from": "+4930123", "to": "+4940456"}, "+4930123"),
        ({"From": "+4930123"}, "+4930123"),
        ({"caller_id_name": "Eva", "caller_id_number": "12"}, "Eva, 12"),
        ({"Caller-Name": " Eva\u202e\n\x00 M. "}, "Eva M."),
        ({"name": "12", "number": "12"}, "12"),
        ({"name": "\ud800x" * 200}, ("x " * 200)[:MAX_CALLER]),
        ({"number": "first", "Number": "second"}, "first"),
    ],
)  # fmt: skip
def test_a_caller_is_found_under_the_usual_names(metadata, caller):
    """A name, a number or both, as a text that may stand on a page."""
    assert caller_of(metadata) == caller
