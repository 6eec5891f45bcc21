"""G.711 by a table, against libsndfile's."""

import io

import numpy as np
import pytest
import soundfile

from streamer.audio.g711 import decode


@pytest.mark.parametrize(("law", "subtype"), [("mulaw", "ULAW"), ("alaw", "ALAW")])
def test_every_code_is_decoded_as_libsndfile_does(law, subtype):
    """All 256 of them."""
    codes = bytes(range(256))
    raw = io.BytesIO(codes)
    expected, _ = soundfile.read(
        raw, dtype="int16", samplerate=8000, channels=1, format="RAW", subtype=subtype
    )
    np.testing.assert_array_equal(decode(codes, law), expected)
