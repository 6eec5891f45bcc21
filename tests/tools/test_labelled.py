"""The reader of labelled recordings, with which voice activity detection is measured."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from streamer.errors import InputError
from streamer.types import SAMPLE_RATE

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

TURNS = """SPEAKER meeting 1 0.100 0.200 <NA> <NA> anna <NA> <NA>
SPEAKER meeting 1 0.200 0.200 <NA> <NA> bert <NA> <NA>
SPEAKER elsewhere 1 0.000 9.000 <NA> <NA> anna <NA> <NA>
"""


@pytest.fixture(scope="module")
def read_labelled():
    """The reader, which lies beside the program that uses it, in no package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
        yield importlib.import_module("labelled").read_labelled


def test_a_frame_within_a_turn_of_anybody_is_speech(tmp_path, read_labelled):
    """Turns that overlap are speech once; recordings without labels are passed over."""
    soundfile.write(tmp_path / "meeting.wav", np.zeros(SAMPLE_RATE // 2, np.int16), SAMPLE_RATE)
    soundfile.write(tmp_path / "unlabelled.wav", np.zeros(SAMPLE_RATE, np.int16), SAMPLE_RATE)
    (tmp_path / "all.rttm").write_text(TURNS, encoding="utf-8")
    (one,) = read_labelled(tmp_path)
    assert one.name == "meeting"
    assert len(one.pcm) == SAMPLE_RATE // 2
    assert np.flatnonzero(one.speech).tolist() == list(range(5, 20))  # 0.1 s to 0.4 s


def test_a_wrong_line_is_named(tmp_path, read_labelled):
    """The error says where the label is that cannot be read."""
    (tmp_path / "all.rttm").write_text("SPEAKER meeting 1 soon 0.2 <NA>\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"all\.rttm, line 1"):
        list(read_labelled(tmp_path))


def test_labels_without_recordings_are_an_error(tmp_path, read_labelled):
    """Otherwise a wrong folder would be measured as if nothing had been asked for."""
    (tmp_path / "all.rttm").write_text(TURNS, encoding="utf-8")
    with pytest.raises(InputError, match=r"no \.wav file"):
        list(read_labelled(tmp_path))
