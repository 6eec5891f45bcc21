"""A real capture path: PulseAudio, ALSA and PortAudio, with a recording played into it."""

import subprocess
import time

import numpy as np
import pytest
import soundfile

from streamer import Predictor
from streamer.config import Config
from streamer.types import EMOTIONS

SLACK_S = 0.15
TAIL_SLACK_S = 0.25
"""How far an end may be off: of forty places where the sound server may cut the recording, one lets
a faint last sound of 160 ms fall below what the detector takes for speech."""
CLOCK_SLACK = 0.2
"""How far probabilities may differ: the sound server cuts the recording at other samples, by which
utterances seem a little more or less of a voice that was heard before; 0.115 was seen."""


def check_rows(rows, excerpt, classified):
    """As many rows as were played, each where it was played, heard as in the file itself."""
    first = excerpt.utterances[0]
    assert [float(row["start_s"]) - float(rows[0]["start_s"]) for row in rows] == pytest.approx(
        [t.start - first.start for t in excerpt.utterances], abs=SLACK_S
    )
    assert [float(row["end_s"]) - float(rows[0]["start_s"]) for row in rows] == pytest.approx(
        [t.end - first.start for t in excerpt.utterances], abs=TAIL_SLACK_S
    )
    for row, utterance in zip(rows, classified, strict=True):
        heard = [float(row[label]) for label in EMOTIONS]
        assert heard == pytest.approx(utterance.prediction.probabilities, abs=CLOCK_SLACK)


def test_what_is_played_is_found_also_after_the_microphone_was_pulled(
    run, microphone, excerpt, tmp_path
):
    """The same device is opened again, and nothing from before is missing."""
    twice = tmp_path / "twice.wav"
    pcm, rate = soundfile.read(excerpt.path, dtype="int16")
    soundfile.write(twice, np.tile(pcm, 2), rate)
    config = Config.model_validate({"baseline": {"enabled": True}})
    classified = list(Predictor(prior="natural", config=config).utterances(twice))
    count = len(excerpt.utterances)
    assert len(classified) == 2 * count
    running = run(env=microphone.env | {"STREAMER_BASELINE_ENABLED": "true"})
    running.wait_for_state("listening")
    time.sleep(1.0)
    microphone.play(excerpt.path)
    running.wait_for(lambda line: line["event"] == "utterance", count)
    microphone.unplug()
    try:
        running.wait_for_state("lost")
    finally:
        microphone.plug_in()
    running.wait_for_state("listening", 2)
    time.sleep(1.0)
    microphone.play(excerpt.path)
    running.wait_for(lambda line: line["event"] == "utterance", 2 * count)
    assert running.stop() == 0
    rows = running.rows()
    assert {row["source"] for row in rows} == {"default"}
    check_rows(rows[:count], excerpt, classified[:count])
    check_rows(rows[count:], excerpt, classified[count:])


def test_an_utterance_that_the_loss_cut_is_kept(run, microphone, excerpt):
    """Nothing before the loss is missing: the row says device_lost."""
    running = run(env=microphone.env, real_model=False)
    running.wait_for_state("listening")
    time.sleep(1.0)
    playing = subprocess.Popen(
        ["paplay", "--device=speaker", str(excerpt.path)], env=microphone.env
    )
    running.wait_for(lambda line: line["event"] == "rolling", 2)
    microphone.unplug()
    try:
        running.wait_for(
            lambda line: line["event"] == "utterance" and line["end_reason"] == "device_lost"
        )
    finally:
        microphone.plug_in()
        playing.wait(30)
    assert running.stop() == 0
    assert running.rows()[-1]["end_reason"] == "device_lost"
