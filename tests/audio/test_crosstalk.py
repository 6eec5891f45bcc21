"""What is said in one channel is no utterance of the other; two who speak at once are heard."""

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile
from calls import LEFT, RIGHT, call, said
from fakes import silence, speech
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.audio.crosstalk import CrosstalkGate
from streamer.config import Config
from streamer.pipeline.frontend import Frontend
from streamer.segmentation.channel import Channel
from streamer.types import SAMPLE_RATE, EndReason, Segment, SourceInfo

CORPORA = Path(__file__).parents[3] / "shared" / "data"
NAMED = {"audio": {"channels": [LEFT, RIGHT]}}


def mixed(loud, level_db, delay_ms):
    """Two channels: a voice, and a room in which it is faintly heard."""
    delay = delay_ms * SAMPLE_RATE // 1000
    other = silence(len(loud) / SAMPLE_RATE).astype(float)
    other[delay:] += 10 ** (level_db / 20) * loud[: len(loud) - delay]
    first = loud + silence(len(loud) / SAMPLE_RATE, seed=2)
    return np.stack((first, np.rint(other)), axis=1).astype(np.int16)


def utterances(stereo, config=None, block=16_000):
    """Channel, start and end in seconds of each utterance, as the live path finds them."""
    config = config or Config.model_validate(NAMED)
    frontend = Frontend(SourceInfo("call", SAMPLE_RATE, 2, live=False), config)
    channels = [Channel(name, config) for name in config.audio.streams]
    found = []
    for start in range(0, len(stereo), block):
        taken = frontend.convert(stereo[start : start + block])
        for index, channel in enumerate(channels):
            events = [*channel.push(taken.pcm[:, index], taken.crosstalk[:, index])]
            found += [(channel.name, event) for event in events]
    for channel in channels:
        found += [(channel.name, event) for event in channel.close(EndReason.END_OF_INPUT)]
    return [
        (name, e.start / SAMPLE_RATE, e.end / SAMPLE_RATE)
        for name, e in found
        if isinstance(e, Segment)
    ]


@pytest.mark.parametrize("level_db", [-15, -25, -35])
@pytest.mark.parametrize("delay_ms", [0, 7, 30])
def test_a_faint_copy_is_marked_and_the_voice_itself_is_not(level_db, delay_ms):
    """At any level and delay between a cable and a headset."""
    marks = CrosstalkGate(2)(mixed(speech(2.0), level_db, delay_ms))
    assert marks[4000:, 1].mean() > 0.95
    assert marks[:, 0].mean() < 0.02


def test_it_does_not_matter_which_channel_is_which():
    """A copy may also come earlier, and be in the first channel."""
    stereo = mixed(speech(3.0), -25, 0)
    stereo[:, 0] = np.roll(stereo[:, 0], 20 * SAMPLE_RATE // 1000)
    marks = CrosstalkGate(2)(stereo[:, ::-1])
    assert marks[4000:, 0].mean() > 0.95
    assert not marks[:, 1].any()


def test_two_voices_at_once_are_both_heard():
    """Though each is faintly in the other's channel."""
    pcm = call(-25)
    marks = CrosstalkGate(2)(pcm)
    spans = {name: [s for s in said() if s.channel == name] for name in (LEFT, RIGHT)}
    both = np.zeros(len(pcm), bool)
    for one in spans[LEFT]:
        for other in spans[RIGHT]:
            start, end = max(one.start, other.start), min(one.end, other.end)
            both[round(start * SAMPLE_RATE) : max(0, round(end * SAMPLE_RATE))] |= end > start
    assert both.sum() > 2 * SAMPLE_RATE
    assert marks[both].mean() < 0.3


def test_a_recording_with_the_same_in_both_channels_belongs_to_the_first():
    """Many recordings are stereo only in name."""
    pcm = np.concatenate((silence(1.0), speech(2.0), silence(1.0)))
    rows = utterances(np.stack((pcm, pcm), axis=1))
    assert [name for name, *_ in rows] == [LEFT]


def test_silence_and_noise_explain_nothing():
    """Digital silence included."""
    quiet = np.stack((silence(2.0), silence(2.0, seed=9)), axis=1)
    for stereo in (quiet, np.zeros_like(quiet)):
        marks = CrosstalkGate(2)(stereo)
        assert not marks.any()
    alone = np.stack((np.zeros(32_000, np.int16), speech(2.0)), axis=1)
    assert not CrosstalkGate(2)(alone)[:, 1].any()


def test_one_channel_has_no_crosstalk():
    """And costs nothing."""
    assert not CrosstalkGate(1)(speech(0.5)[:, np.newaxis]).any()


@given(cuts=st.lists(st.integers(1, 3000), min_size=1, max_size=12))
@settings(max_examples=15, deadline=None)
def test_the_cut_into_blocks_does_not_matter(cuts):
    """The same samples are marked."""
    stereo = mixed(speech(1.0), -25, 12)
    whole = CrosstalkGate(2)(stereo)
    gate, pieces, at = CrosstalkGate(2), [], 0
    for cut in cuts:
        pieces.append(gate(stereo[at : at + cut]))
        at += cut
    pieces.append(gate(stereo[at:]))
    assert np.array_equal(np.concatenate(pieces), whole)


def test_what_was_heard_leaves_nothing_behind():
    """However loud it was: sums that are carried on from hop to hop are exact."""
    fresh, used = CrosstalkGate(2), CrosstalkGate(2)
    used(np.full((4000, 2), 32_767, np.int16))
    for _ in range(3):
        used(np.random.default_rng(1).integers(-32_768, 32_768, (SAMPLE_RATE, 2)).astype(np.int16))
    stereo = np.concatenate((np.zeros((8000, 2), np.int16), mixed(speech(1.0) // 500, -15, 7)))
    assert np.array_equal(used(stereo)[8000:], fresh(stereo)[8000:])
    assert np.array_equal(used._cross, fresh._cross)
    assert np.array_equal(used._power[used._end - 1], fresh._power[fresh._end - 1])


def test_each_of_many_channels_is_compared_with_every_other():
    """A voice is heard in two of four channels, and marked there alone."""
    pair = mixed(speech(3.0), -20, 12)
    own = speech(3.0, seed=4)[::-1] // 4
    marks = CrosstalkGate(4)(np.stack((own, pair[:, 1], pair[:, 0], pair[:, 1] // 2), axis=1))
    assert marks[4000:].mean(axis=0) == pytest.approx([0, 1, 0, 1], abs=0.05)


@pytest.mark.parametrize("channels", [5, 12])
def test_of_many_channels_each_finds_its_source(channels):
    """Pairs of a desk each: whoever speaks is heard in the other channel of the pair alone."""
    voices = [np.roll(speech(3.0, seed=n), 997 * n) for n in range(channels // 2)]
    pairs = [
        mixed(voice, -20, 5 + n % 20) + 8 * np.random.default_rng(n).standard_normal((48_000, 2))
        for n, voice in enumerate(voices)
    ]
    pairs = [pair.clip(-32_768, 32_767).astype(np.int16) for pair in pairs]
    alone = [silence(3.0, seed=99)[:, np.newaxis]] * (channels % 2)
    marks = CrosstalkGate(channels)(np.concatenate((*pairs, *alone), axis=1))[SAMPLE_RATE:]
    expected = np.concatenate([CrosstalkGate(2)(pair)[SAMPLE_RATE:] for pair in pairs], axis=1)
    assert expected.mean() > 0.3
    same = marks[:, : 2 * len(pairs)] == expected
    assert same[expected].mean() > 0.9
    assert same[~expected].mean() > 0.98
    assert not marks[:, 2 * len(pairs) :].any()


@pytest.mark.parametrize("channels", [12, 64])
def test_a_voice_that_all_hear_belongs_to_the_loudest(channels):
    """Microphones around a table: each hears whoever speaks, 8 to 20 dB below, a little later."""
    rng = np.random.default_rng(3)
    voice, speaker = speech(3.0), channels // 2
    table = [
        np.roll(voice, int(rng.integers(1, 320))) * 10 ** (-rng.uniform(8, 20) / 20)
        for _ in range(channels)
    ]
    table[speaker] = voice
    pcm = np.stack(table, axis=1) + 4 * rng.standard_normal((len(voice), channels))
    marks = CrosstalkGate(channels)(pcm.clip(-32_768, 32_767).astype(np.int16))[SAMPLE_RATE:]
    assert marks[:, speaker].mean() < 0.02
    assert np.delete(marks, speaker, axis=1).mean() > 0.9


def test_the_work_grows_with_the_channels_not_with_their_square():
    """What is multiplied at each hop: the products of each channel with a few others."""
    few, many = CrosstalkGate(8)._cross, CrosstalkGate(64)._cross
    assert many.size == 8 * few.size
    assert CrosstalkGate(64)._spectra.size == 8 * CrosstalkGate(8)._spectra.size


def test_it_looks_back_only():
    """What comes later does not change what was said."""
    stereo = mixed(speech(1.0), -25, 12)
    marks = CrosstalkGate(2)(stereo)
    assert np.array_equal(CrosstalkGate(2)(stereo[:9000]), marks[:9000])


def foreign_s(row):
    """For how long a row goes on beside what is said in its own channel."""
    name, start, end = row
    own = [min(end, one.end) - max(start, one.start) for one in said() if one.channel == name]
    return end - start - sum(part for part in own if part > 0)


@pytest.mark.parametrize("crosstalk_db", [None, -15, -40])
def test_a_call_has_its_utterances_on_the_right_channels(crosstalk_db):
    """Made from the bundled recording, with both sides speaking at once now and then."""
    rows = utterances(call(crosstalk_db))
    assert max(foreign_s(row) for row in rows) < 0.5
    for one in said():
        parts = [min(e, one.end) - max(s, one.start) for n, s, e in rows if n == one.channel]
        assert sum(part for part in parts if part > 0) > 0.75 * (one.end - one.start)


def test_without_the_gate_the_other_side_is_in_the_rows():
    """Where it is switched off; or the test above would prove nothing."""
    config = Config.model_validate({"audio": {**NAMED["audio"], "crosstalk": False}})
    assert sum(foreign_s(row) for row in utterances(call(-25), config)) > 3


def test_a_channel_that_is_switched_off_is_not_heard_but_its_crosstalk_is_known():
    """Nothing of the agent is kept, and the agent's voice in the customer's channel has no row."""
    config = Config.model_validate({"audio": {**NAMED["audio"], "analyse": [RIGHT]}})
    stereo = call(-20)[: 20 * SAMPLE_RATE]
    frontend = Frontend(SourceInfo("call", SAMPLE_RATE, 2, live=False), config)
    assert np.array_equal(frontend.convert(stereo).pcm[:, 0], stereo[:, 1])
    rows = utterances(stereo, config)
    assert rows == [row for row in utterances(stereo) if row[0] == RIGHT]


def test_after_a_hole_crosstalk_is_looked_for_anew():
    """What was said before it says nothing about what comes after."""
    config = Config.model_validate(NAMED)
    stereo = mixed(speech(2.0), -20, 7)

    def again(*, hole):
        frontend = Frontend(SourceInfo("call", SAMPLE_RATE, 2, live=False), config)
        assert frontend.convert(stereo).crosstalk[-1, 1]
        if hole:
            frontend.flush()
        return frontend.convert(stereo[:1600]).crosstalk[:, 1]

    assert again(hole=False)[:160].all()
    assert not again(hole=True).any()


@pytest.mark.skipif(not CORPORA.is_dir(), reason="the corpora are not here")
@pytest.mark.parametrize("level_db", [-15, -35])
def test_real_voices_crosstalk_and_overlap(level_db, monkeypatch):
    """Two actors who speak in turn and at once: no row from crosstalk, no utterance lost."""
    with (CORPORA / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["corpus"] == "crema-d"]
    rng = np.random.default_rng(0)
    speakers = ("crema-d_1001", "crema-d_1012")
    lanes = []
    for offset, speaker in zip((0.5, 1.7), speakers, strict=True):
        clips = [row["path"] for row in rows if row["speaker"] == speaker][:30:5]
        lane, at = np.zeros(18 * SAMPLE_RATE), round(offset * SAMPLE_RATE)
        for clip in clips:
            pcm, _ = soundfile.read(CORPORA / clip)
            pcm *= 1600 / pcm.std()
            lane[at : at + len(pcm)] = pcm[: len(lane) - at]
            at += len(pcm) + round(rng.uniform(0.6, 1.8) * SAMPLE_RATE)
        lanes.append(lane)
    clean = np.stack(lanes, axis=1)
    heard = np.roll(clean[:, ::-1], 150, axis=0) * 10 ** (level_db / 20)
    noise = 16 * rng.standard_normal(clean.shape)
    alone = utterances(np.clip(clean + noise, -32_768, 32_767).astype(np.int16))
    mix = np.clip(clean + heard + noise, -32_768, 32_767).astype(np.int16)
    gated = utterances(mix)
    monkeypatch.setattr(CrosstalkGate, "__call__", lambda _, pcm: np.zeros(pcm.shape, bool))
    without = utterances(mix)

    def found_in(rows, name, start, end):
        parts = [min(e, end) - max(s, start) for n, s, e in rows if n == name]
        return sum(part for part in parts if part > 0)

    if level_db > -20:  # fainter, it is no utterance for the voice-activity detector either
        assert any(not found_in(alone, *row) for row in without)
    assert all(found_in(alone, *row) for row in gated)
    for row in alone:
        assert found_in(gated, *row) >= 0.6 * found_in(without, *row)
