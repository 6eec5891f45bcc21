"""Speech as fine-tuning hears it: what it learns from, once made, and in batches."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.errors import InputError, OutputError
from streamer.model import features
from streamer.model.features import Waveform
from streamer.training.augmentation import pieces
from streamer.training.augmentation.degrade import SPEED, faster
from streamer.training.data.manifest import Clip, read_manifest
from streamer.training.data.recordings import Augmented, Recordings
from streamer.types import SAMPLE_RATE


def swelling(samples: int, seed: int = 0) -> Waveform:
    """Noise in syllables, with silence between them."""
    time = np.arange(samples) / SAMPLE_RATE
    noise = np.random.default_rng(seed).standard_normal(samples)
    return (0.03 * noise * np.sin(8 * time).clip(min=0)).astype(np.float32)


def batch(waves: list[Waveform]) -> tuple[torch.Tensor, torch.Tensor]:
    """Padded, and how many samples of each count."""
    rows = [torch.from_numpy(wave) for wave in waves]
    samples = torch.tensor([len(wave) for wave in waves])
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), samples


def log_mel(
    waves: list[Waveform], *, speed: float = 1.0, level_db: float = 0.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Of a batch, all alike."""
    ones = torch.ones(len(waves))
    return pieces.log_mel(*batch(waves), speeds=speed * ones, levels_db=level_db * ones)


def levelled(wave: Waveform) -> Waveform:
    """At the level that the features are computed at."""
    level = features.to_target(wave, features.speech_rms(wave))
    assert level is not None
    return level


def test_a_batch_is_what_each_is_alone():
    """Side by side, each as if it were alone: the same level, spectrogram and number of frames."""
    waves = [swelling(n, seed=n) for n in (500, 9000, 16001, 32000)]
    mel, frames = log_mel(waves)
    alone, counts = features.log_mel_batch([levelled(wave) for wave in waves])
    assert torch.equal(frames, counts)
    for row, other, count in zip(mel, alone, counts.tolist(), strict=True):
        assert torch.allclose(row[:, :count], other[:, :count], atol=1e-5)


def test_a_padded_batch_is_what_each_is_alone():
    """Log-mels of several lengths stand side by side, each as if it were alone."""
    rng = np.random.default_rng(0)
    waves = [rng.standard_normal(n).astype(np.float32) for n in (300, 9000, 16001)]
    mel, frames = features.log_mel_batch(waves)
    assert mel.shape == (3, features.N_MELS, int(frames.max()))
    for row, count, wave in zip(mel, frames.tolist(), waves, strict=True):
        assert torch.equal(row[:, :count], features.log_mel(wave))


@settings(max_examples=20, deadline=None)
@given(
    lengths=st.lists(st.integers(400, 20_000), min_size=1, max_size=4),
    loudness=st.floats(-60, 20),
)
def test_levels_of_a_batch(lengths: list[int], loudness: float):
    """As `features` measures them, one by one."""
    waves = [np.float32(10 ** (loudness / 20)) * swelling(n, seed=n) for n in lengths]
    expected = [features.speech_rms(wave) for wave in waves]
    assert pieces.speech_rms(*batch(waves)).tolist() == pytest.approx(expected, rel=1e-4)


def test_silence_stays_silent():
    """No level can be given to it."""
    mel, _ = log_mel([np.zeros(8000, np.float32)])
    assert mel.isfinite().all()
    assert mel.max() == mel.min()


def test_louder_is_brighter():
    """By as many decibels as were asked for: log-mels are in units of 40 dB."""
    wave = swelling(16000)
    mel, louder = log_mel([wave])[0], log_mel([wave], level_db=4.0)[0]
    assert (louder - mel).mean() == pytest.approx(0.1, abs=1e-3)


def test_faster_in_a_batch():
    """As `faster`, and the log-mel of that."""
    time = np.arange(16000) / SAMPLE_RATE
    wave = (0.1 * np.sin(2 * np.pi * 300 * time)).astype(np.float32)
    mel, frames = log_mel([wave, wave[:8000]], speed=1.12)
    for row, count, before in zip(mel, frames.tolist(), (wave, wave[:8000]), strict=True):
        alone = features.log_mel(levelled(faster(before, 1.12)))
        assert count == alone.shape[1]
        assert (row[:, 2 : count - 2] - alone[:, 2:-2]).abs().mean() < 0.02


@settings(max_examples=20, deadline=None)
@given(hz=st.floats(300, 3000), factor=st.floats(0.9, 1.1))
def test_a_shorter_vocal_tract_sounds_higher(hz: float, factor: float):
    """The peak of a tone's log-mel moves to where that of a higher tone is."""
    time = np.arange(SAMPLE_RATE // 2) / SAMPLE_RATE

    def peak(mel: torch.Tensor) -> float:
        loud = (mel.mean(1) - mel.mean(1).max() + 0.5).clamp(min=0)
        return float(loud @ torch.arange(len(loud)).float() / loud.sum())

    low, high = (
        features.log_mel(np.sin(2 * np.pi * f * time).astype(np.float32)) for f in (hz, hz * factor)
    )
    both = pieces.warped(torch.stack([low, low]), np.array([1.0, factor]))
    assert torch.allclose(both[0], low, atol=1e-5)
    assert peak(both[1]) == pytest.approx(peak(high), abs=1.0)


def test_some_is_hidden():
    """Bands, or time, of about half of the pieces each, a bounded share of what counts."""
    rng = np.random.default_rng(0)
    mel = torch.from_numpy(rng.random((400, 80, 120))).float()
    frames = torch.from_numpy(rng.integers(60, 121, 400))
    hidden = pieces.mask(mel, frames, rng) != mel
    bands = torch.stack([row[:, :n].all(1) for row, n in zip(hidden, frames, strict=True)])
    times = hidden.all(1)
    assert bands.any(1).float().mean() == pytest.approx(0.5, abs=0.1)
    assert times.any(1).float().mean() == pytest.approx(0.5, abs=0.1)
    assert bands.sum(1).max() == pieces.MASK_MELS
    assert (times.sum(1) <= (frames * pieces.MASK_SHARE).ceil()).all()


def test_speech_is_decoded_once(manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The second time, it comes from the cache: the recordings may be gone."""
    clips = read_manifest(manifest)
    first = Recordings(clips, cache=tmp_path)[clips[3]]
    monkeypatch.delattr("streamer.training.data.recordings._decode")
    again = Recordings(clips, cache=tmp_path)[clips[3]]
    assert np.array_equal(first, again)
    assert first.dtype == np.int16
    assert 0.5 * SAMPLE_RATE < len(first) <= 0.7 * SAMPLE_RATE + features.LEVEL_FRAME
    assert np.abs(first).max() == pytest.approx(2**14, rel=0.01)


def test_a_silent_recording_is_an_error(tmp_path: Path):
    """There is nothing to learn from it."""
    path = tmp_path / "silent.wav"
    soundfile.write(path, np.zeros(SAMPLE_RATE), SAMPLE_RATE)
    clip = Clip(path=path, name="silent.wav", corpus="x", speaker="1", emotion="happy")
    with pytest.raises(InputError, match=r"silent\.wav: is silent"):
        Recordings([clip], cache=tmp_path)


def test_speech_is_augmented_once(manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Every copy otherwise, as long as speech can become; the same ones whoever makes them."""
    clips = read_manifest(manifest)[:4]
    recordings = Recordings(clips, cache=tmp_path)
    kept = {"voices": clips, "cache": tmp_path}
    first = Augmented(clips, recordings, copies=1, jobs=2, **kept)
    alone = Augmented(clips, recordings, copies=3, jobs=1, **kept)
    monkeypatch.delattr("streamer.training.data.recordings.degrade")
    again = Augmented(clips, recordings, copies=3, **kept)
    copies = {(clip.name, copy): alone(clip, copy) for clip in clips for copy in range(3)}
    for clip in clips:
        assert np.array_equal(first(clip, 0), copies[clip.name, 0])
        assert np.array_equal(again(clip, 2), copies[clip.name, 2])
        lengths = [len(copies[clip.name, copy]) for copy in range(3)]
        assert all(length <= len(recordings[clip]) / SPEED[0] + 1 for length in lengths)
    otherwise = {copy.tobytes() for copy in copies.values()}
    assert len(otherwise) > 2 * len(clips)  # now and then, nothing is wrong


def test_no_room_for_copies(manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Said before the work, and nothing is left behind."""
    clips = read_manifest(manifest)[:2]
    recordings = Recordings(clips, cache=tmp_path / "recordings")
    full = SimpleNamespace(free=1000)
    monkeypatch.setattr("streamer.training.data.recordings.disk_usage", lambda _folder: full)
    with pytest.raises(
        OutputError, match=r"got 0\.0 GB of room, expected 0\.0 for augmented speech"
    ):
        Augmented(clips, recordings, voices=clips, copies=1, cache=tmp_path / "full", jobs=1)
    assert not any((tmp_path / "full").iterdir())
