"""A real capture path: PulseAudio, ALSA and PortAudio, with a recording played into it."""

import subprocess
import time

import pytest

SLACK_S = 0.15


def starts(rows):
    """Where the utterances begin, in seconds, counted from the first."""
    return [float(row["start_s"]) - float(rows[0]["start_s"]) for row in rows]


def test_what_is_played_is_found(run, microphone, excerpt):
    """As many rows as utterances, each where it was played, and a clean stop."""
    running = run(env=microphone.env)
    running.wait_for_state("listening")
    time.sleep(1.0)
    microphone.play(excerpt.path)
    running.wait_for(lambda line: line["event"] == "utterance", len(excerpt.utterances))
    assert running.stop() == 0
    rows = running.rows()
    assert len(rows) == len(excerpt.utterances)
    first = excerpt.utterances[0]
    assert starts(rows) == pytest.approx(
        [t.start - first.start for t in excerpt.utterances], abs=SLACK_S
    )
    assert [float(row["duration_s"]) for row in rows] == pytest.approx(
        [t.end - t.start for t in excerpt.utterances], abs=2 * SLACK_S
    )
    assert {row["source"] for row in rows} == {"default"}


def test_a_microphone_that_is_pulled_is_found_again(run, microphone, excerpt):
    """The open utterance is closed and written; the same device is opened again."""
    running = run(env=microphone.env)
    running.wait_for_state("listening")
    time.sleep(1.0)
    microphone.play(excerpt.path)
    running.wait_for(lambda line: line["event"] == "utterance", len(excerpt.utterances))
    before = len(running.lines)
    microphone.unplug()
    try:
        running.wait_for_state("lost")
    finally:
        microphone.plug_in()
    running.wait_for(
        lambda line: (
            line["event"] == "state"
            and line["state"] == "listening"
            and running.lines.index(line) > before
        )
    )
    time.sleep(1.0)
    microphone.play(excerpt.path)
    running.wait_for(lambda line: line["event"] == "utterance", 2 * len(excerpt.utterances))
    assert running.stop() == 0
    rows = running.rows()
    assert len(rows) == 2 * len(excerpt.utterances)
    assert {row["source"] for row in rows} == {"default"}


def test_an_utterance_that_the_loss_cut_is_kept(run, microphone, excerpt):
    """Nothing before the loss is missing: the row says device_lost."""
    running = run(env=microphone.env)
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
