"""Channels mixed to one: nothing cancels what was said."""

import numpy as np
import pytest
from fakes import silence, speech

from streamer.audio.mix import Mixer
from streamer.audio.resample import StreamConverter

RATE = 16_000
VOICE = speech(3.0)


def mixed(pcm, size=RATE):
    """What comes out, and what is said."""
    mixer = Mixer(RATE, pcm.shape[1])
    pieces = [mixer.mix(pcm[at : at + size]) for at in range(0, len(pcm), size)]
    return np.concatenate(pieces)[:, 0], mixer.drain_warnings()


def test_channels_in_phase_are_averaged():
    """As ever: the same voice, two voices, a voice in one channel."""
    other = speech(3.0, seed=4)[::-1]
    for right in (VOICE, VOICE // 2, other, silence(3.0), VOICE * 0):
        got, warnings = mixed(np.stack((VOICE, right), axis=1))
        assert (got == np.rint((VOICE.astype(float) + right) / 2)).all()
        assert warnings == []


@pytest.mark.parametrize("gain", [1.0, 0.8])
def test_opposite_phase_cancels_nothing(gain):
    """One side is taken, from a tenth of a second on, and that is said once."""
    right = np.rint(-gain * VOICE).astype(np.int16)
    got, (warning,) = mixed(np.stack((VOICE, right), axis=1))
    assert (got[RATE // 5 :] == VOICE[RATE // 5 :]).all()
    assert "in opposite phase and cancel each other: channel 1 of 2 alone is taken" in warning


def test_how_the_stream_is_cut_changes_nothing():
    """Blocks of any size."""
    both = np.concatenate((np.stack((VOICE, VOICE), 1), np.stack((VOICE, -VOICE), 1)))
    whole, _ = mixed(both, len(both))
    for size in (1, 37, 320, 1000):
        part = both[-RATE:] if size == 1 else both
        expected = mixed(part, len(part))[0] if size == 1 else whole
        assert (mixed(part, size)[0] == expected).all()


def test_the_converter_says_what_the_mixer_says():
    """And resamples what it made."""
    converter = StreamConverter(RATE, 2)
    got = converter.convert(np.stack((VOICE, -VOICE), axis=1))
    assert np.abs(got).max() == np.abs(VOICE[RATE // 5 :]).max()
    assert len(converter.drain_warnings()) == 1
