"""listen(): a recording, PCM that is fed, and what is refused, with the real model."""

import asyncio

import numpy as np
import pytest
import soundfile

from streamer import StreamerError, Utterance, listen
from streamer.config import Config
from streamer.errors import InputError, ModelError
from streamer.events import ModelLoaded, PartialResult, UtteranceStarted
from streamer.types import EndReason


@pytest.fixture(scope="module")
def speech(excerpt):
    """The beginning of the bundled recording: int16 PCM, shape (samples,), and its rate."""
    return soundfile.read(excerpt.path, dtype="int16")


def test_fed_pcm(speech, excerpt):
    """Bytes or arrays, in pieces of any length: the utterances that are in it."""
    pcm, rate = speech
    with listen(sample_rate=rate) as stream:
        half = len(pcm) // 2
        stream.feed(pcm[:half].tobytes())
        stream.feed((pcm[half:] / 32_768).astype(np.float32))
        stream.finish()
        events = list(stream)
    found = [event for event in events if isinstance(event, Utterance)]
    assert len(found) == len(excerpt.utterances)
    for utterance, truth in zip(found, excerpt.utterances, strict=True):
        assert utterance.start_s == pytest.approx(truth.start, abs=0.2)
        assert utterance.prediction is not None
        assert utterance.latency_ms is not None
    kinds = {type(event) for event in events}
    assert {ModelLoaded, UtteranceStarted, PartialResult} <= kinds


def test_a_recording(speech, tmp_path):
    """It plays at its own pace; `stop` ends it with the utterance that is going on."""
    pcm, rate = speech
    soundfile.write(tmp_path / "call.wav", pcm, rate)
    found = []
    with listen(tmp_path / "call.wav", model="open") as stream:
        for event in stream:
            if isinstance(event, PartialResult):
                stream.stop()
            if isinstance(event, Utterance):
                found.append(event)
    assert found[-1].end_reason is EndReason.STOPPED
    assert found[-1].prediction is not None
    assert len(found[-1].prediction.labels) == 7


def test_several_channels(speech):
    """Each is a stream of its own; an alert stands in the utterance that raised it."""
    pcm, rate = speech
    both = np.stack((pcm, np.zeros_like(pcm)), axis=1)
    rule = {"name": "any", "channel": "customer", "mood_below": 1.0, "of": 1, "count": 1}
    config = Config.model_validate({
        "audio": {"channels": ["customer", "agent"]}, "alerts": {"rules": [rule]},
    })  # fmt: skip
    with listen(sample_rate=rate, config=config) as stream:
        stream.feed(both)
        stream.finish()
        found = [event for event in stream if isinstance(event, Utterance)]
    assert {utterance.channel for utterance in found} == {"customer"}
    assert [u.alerts for u in found].count(("any",)) == 1


def test_asynchronously(speech, excerpt):
    """A cancelled wait loses nothing."""
    pcm, rate = speech

    async def run():
        async with listen(sample_rate=rate) as stream:
            events = []
            while True:  # until the model is loaded, most waits time out
                try:
                    events.append(await asyncio.wait_for(anext(stream), 0.05))
                except TimeoutError:
                    continue
                if isinstance(events[-1], ModelLoaded):
                    break
            await asyncio.to_thread(stream.feed, pcm)
            stream.finish()
            events += [event async for event in stream]
        return events

    events = asyncio.run(run())
    found = [event.number for event in events if isinstance(event, Utterance)]
    assert found == list(range(1, len(excerpt.utterances) + 1))


def test_leaving_ends_it(speech):
    """Whatever waits: no thread is left, and nothing more is taken."""
    pcm, rate = speech
    with listen(sample_rate=rate) as stream:
        stream.feed(pcm)
    assert list(stream) == []
    with pytest.raises(InputError, match="got PCM after the end of the stream"):
        stream.feed(pcm)
    with pytest.raises(RuntimeError, match="listens once"), stream:
        pass


def test_errors_come_out_of_the_iteration(tmp_path):
    """A model or a recording that is not there is said as on the command line."""
    with pytest.raises(ModelError, match="nobody"), listen(sample_rate=8000, model="nobody") as s:
        list(s)
    with pytest.raises(InputError, match="no such file"), listen(tmp_path / "none.wav") as s:
        list(s)


def test_what_makes_no_sense_is_refused(tmp_path):
    """What was got and what was expected."""
    with pytest.raises(ValueError, match="several of recording, device and sample_rate"):
        listen(tmp_path, device=1)
    with pytest.raises(StreamerError, match="got 7 Hz"):
        listen(sample_rate=7)
    with pytest.raises(RuntimeError, match="from 'with' on"):
        next(listen(sample_rate=8000))
    with listen(tmp_path / "none.wav") as stream, pytest.raises(RuntimeError, match="is fed"):
        stream.feed(b"")
    stereo = np.zeros((3, 2), np.int16)
    wrong = pytest.raises(ValueError, match=r"got PCM of shape \(3, 2\).* channels=\(")
    with listen(sample_rate=8000) as stream, wrong:
        stream.feed(stereo)
    with listen(sample_rate=8000, channels=("a", "b")) as stream:
        with pytest.raises(ValueError, match=r"shape \(3,\), expected \(samples, 2\)"):
            stream.feed(np.zeros(3, np.int16))
        with pytest.raises(ValueError, match="got 2 bytes, expected whole samples of 4 bytes"):
            stream.feed(b"12")
        with pytest.raises(TypeError, match="type int64"):
            stream.feed(np.zeros((3, 2), np.int64))
        with pytest.raises(InputError, match="NaN"):
            stream.feed(np.full((3, 2), np.nan))
