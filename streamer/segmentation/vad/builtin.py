"""The engine `builtin`: webrtcvad, plus what it lacks.

webrtcvad tells speech from background well as long as the background is quiet. It takes loud
steady noise for speech for ever, and clicks of a keyboard more often than not. So it is given every
frame with the noise turned down, and believed only around evidence that somebody speaks: a voice,
which is *periodic*, *lasts* longer than a click and *rises* above the noise floor. That evidence
takes time to gather, and a word may begin without a voice. So the first moment of a sound that
breaks a silence has the benefit of the doubt: too short to be an utterance by itself. And so has
what follows a voice without a break, for a hiss or a creak within a word has none.
"""

import math
from collections import deque
from typing import TypeAlias

import numpy as np
import webrtcvad
from numpy.typing import NDArray

from streamer.audio.level import FULL_SCALE
from streamer.config import VadConfig
from streamer.types import SAMPLE_RATE, Pcm

Power: TypeAlias = NDArray[np.floating]
"""In LSB², for each bin or band."""

Samples: TypeAlias = NDArray[np.float32]
"""In LSB."""

# The spectrum: of the newest 40 ms, in which even a deep voice has two periods.
WINDOW_SAMPLES = SAMPLE_RATE * 40 // 1000
FFT_SAMPLES = 1024  # padded: the correlation must not wrap around within the lags below
BIN_HZ = SAMPLE_RATE / FFT_SAMPLES
BANDS = 16
LOWEST_HZ, HIGHEST_HZ = 90, 7600  # mains hum itself and its worst rumble stay outside

# The noise floor: the least that each band has held of late.
SMOOTHING_MS = 56  # time constant; without it the least would be a fluke
FLOOR_BLOCKS, FLOOR_BLOCK_MS = 6, 250  # longer than speech goes on without a dip
QUANTISATION = 1.0  # power of the least noise that a band is taken to hold, in LSB²
NOISE_DBFS = -42  # up to which webrtcvad copes with steady noise

# The evidence of a voice, gathered in steps.
STEP_MS = 20  # at most: a longer frame is taken in several
VOICE_HZ = (60, 500)
VOICE_BAND_HZ = 2000  # above it, voices are noise, too
COMPRESSION = 0.67  # of the spectrum, lest one strong resonance or deep rumble passes for a pitch
PERIODICITY = 0.32  # least normalised autocorrelation of a voice
LASTING_MS = 60  # a voice is periodic for so long ...
DECAY_DB_PER_MS = 0.3  # ... without fading like the resonance of a key that was hit ...
MACHINE_DB = 1.4  # ... but livelier than a hum, which keeps its level within this
RANGE_DB = 30  # echoes, breath and neighbours are further than this below the voice
FORGET_DB_PER_S = 2  # a quieter voice is heard again after a shout

# The verdict.
TRUST_MS, MOST_TRUST_MS = 120, 440  # a step of voice lets webrtcvad decide for so much longer
FIRST_TRUST_MS = 40  # the first one less: with the doubt below, it is no utterance yet
BRIDGE_MS = 40  # shorter dips stay speech
DOUBT_SNR_DB = 10  # webrtcvad is believed without a voice of a sound so far above the noise ...
DOUBT_MS = 100  # ... for so long, half of the least utterance ...
SILENCE_MS = 400  # ... if it breaks a silence like a hangover: clatter draws out no utterance ...
FOLLOW_MS = 100  # ... and for so long after a voice, if it has not paused since


def _band_edges() -> NDArray[np.intp]:
    """First bin of each band, equally wide in mel, and the end of the last one."""
    low, high = (2595 * math.log10(1 + hz / 700) for hz in (LOWEST_HZ, HIGHEST_HZ))
    hz = 700 * (10 ** (np.linspace(low, high, BANDS + 1) / 2595) - 1)
    return np.rint(hz / BIN_HZ).astype(np.intp)


_WINDOW = np.hanning(WINDOW_SAMPLES + 2)[1:-1].astype(np.float32)
_WINDOW /= np.sqrt(FFT_SAMPLES / 2 * np.square(_WINDOW).sum())  # bins add up to the mean square

_EDGES = _band_edges()
_WIDTHS = np.diff(_EDGES)

_VOICE_BINS = slice(int(_EDGES[0]), round(VOICE_BAND_HZ / BIN_HZ))
_VOICE_BAND = np.repeat(np.arange(BANDS), _WIDTHS)[: _VOICE_BINS.stop - _VOICE_BINS.start]

_LAG_RATE = SAMPLE_RATE // 2  # resolution of the correlation
_LAG_SAMPLES = FFT_SAMPLES // 2
_LAGS = slice(_LAG_RATE // VOICE_HZ[1], _LAG_RATE // VOICE_HZ[0] + 1)
_window_spectrum = np.square(np.abs(np.fft.rfft(_WINDOW, FFT_SAMPLES)))
_window_correlation = np.fft.irfft(_window_spectrum[: _LAG_SAMPLES // 2 + 1], _LAG_SAMPLES)
_LAG_WEIGHTS = (_window_correlation[0] / _window_correlation[_LAGS]).astype(np.float32)


class NoiseFloor:
    """Follow the noise in each band by the least that it has held of late.

    It falls at once and rises within 1.5 s, when the last quieter moment is forgotten. At the
    start it is taken to be silent, so that a stream may begin with speech.

    Args:
        frame_ms: Time from one call to the next.
    """

    def __init__(self, frame_ms: int) -> None:
        self._decay = np.float32(math.exp(-frame_ms / SMOOTHING_MS))
        self._frames_per_block = FLOOR_BLOCK_MS // frame_ms
        self._frames = 0
        self._smooth: Power = np.zeros(BANDS, np.float32)
        self._blocks = np.full((FLOOR_BLOCKS, BANDS), QUANTISATION, np.float32)
        self._past: Power = self._blocks[0]

    def __call__(self, power: Power) -> Power:
        """Take a frame's power in each band, shape (BANDS,); return that of the noise."""
        self._smooth += (1 - self._decay) * (power - self._smooth)
        block, frame = divmod(self._frames, self._frames_per_block)
        current = self._blocks[block % FLOOR_BLOCKS]
        if frame == 0:  # the oldest block makes room
            current[:] = np.inf
            self._past = self._blocks.min(axis=0)
        self._frames += 1
        np.minimum(current, self._smooth, out=current)
        floor: Power = np.maximum(np.minimum(self._past, current), QUANTISATION)
        return floor


class Builtin:
    """Judge frames by what webrtcvad says and by evidence of a voice.

    Whispering is not found, because it has no voice.

    Args:
        config: Length of the frames, and how much evidence is asked for.

    Attributes:
        tail_frames: So many are still called speech when it is over, should it go on.
    """

    def __init__(self, config: VadConfig) -> None:
        self.tail_frames = math.ceil(BRIDGE_MS / config.frame_ms)
        steps_per_frame = math.ceil(config.frame_ms / STEP_MS)
        step_ms = config.frame_ms // steps_per_frame
        self._step_samples = step_ms * SAMPLE_RATE // 1000
        self._floor_dbfs = config.floor_dbfs
        self._min_snr_db = config.min_snr_db
        self._forget_db = FORGET_DB_PER_S * step_ms / 1000
        self._lasting = math.ceil(LASTING_MS / step_ms)
        self._fading_db = DECAY_DB_PER_MS * (self._lasting - 1) * step_ms
        self._trust_gain = TRUST_MS // step_ms
        self._first_trust = FIRST_TRUST_MS // step_ms
        self._most_trust = MOST_TRUST_MS // step_ms
        self._most_doubt = DOUBT_MS // config.frame_ms
        self._most_following = FOLLOW_MS // config.frame_ms
        self._least_silence = math.ceil(SILENCE_MS / config.frame_ms)

        self._webrtc = webrtcvad.Vad(config.aggressiveness)
        self._noise_floor = NoiseFloor(step_ms)
        self._newest = np.zeros(WINDOW_SAMPLES, np.float32)
        self._periodic: deque[tuple[float, float]] = deque(maxlen=self._lasting)  # see _is_voice
        self._loudest_dbfs = -math.inf
        self._trust = 0  # steps for which webrtcvad is still believed
        self._snr_db = 0.0  # of the newest step
        self._since_voice = self.tail_frames + 1
        self._silence = 0  # frames
        self._doubt = 0  # frames of unproven sound that are still believed after a silence ...
        self._following = 0  # ... and after a voice

    def __call__(self, frame: Pcm) -> bool:
        """Judge the next frame, int16, shape (frame_samples,)."""
        samples = frame.astype(np.float32)
        for begin in range(0, len(samples), self._step_samples):
            noise = self._listen(samples[begin : begin + self._step_samples])
        gain = min(1.0, FULL_SCALE * 10 ** (NOISE_DBFS / 20) / math.sqrt(noise))
        likely = self._webrtc.is_speech(
            (samples * gain).astype(np.int16).tobytes(), SAMPLE_RATE
        ) and _level_dbfs(samples) > max(self._floor_dbfs, self._loudest_dbfs - RANGE_DB)
        in_doubt = self._is_in_doubt(likely=likely)
        self._since_voice = 0 if self._is_followed(likely=likely) else self._since_voice + 1
        return in_doubt or self._since_voice <= self.tail_frames

    def _is_in_doubt(self, *, likely: bool) -> bool:
        """Is this the first moment of a sound that may turn out to be a voice?"""
        if not likely:
            self._silence += 1
            if self._silence >= self._least_silence:
                self._doubt = self._most_doubt
            return False
        self._silence = 0
        in_doubt = self._doubt > 0 and self._snr_db > DOUBT_SNR_DB
        self._doubt = max(0, self._doubt - 1)
        return in_doubt

    def _is_followed(self, *, likely: bool) -> bool:
        """Is this a voice, or what follows it without a break?"""
        if not likely:
            self._following = 0
        elif self._trust > 0:
            self._following = self._most_following
            return True
        else:
            self._following = max(0, self._following - 1)
        return self._following > 0 and self._snr_db > DOUBT_SNR_DB

    def _listen(self, step: Samples) -> float:
        """Gather evidence of a voice; return the power of the noise, in LSB²."""
        self._newest = np.concatenate((self._newest[len(step) :], step))
        spectrum = np.fft.rfft(self._newest * _WINDOW, FFT_SAMPLES)
        power = spectrum.real**2 + spectrum.imag**2
        bands = np.add.reduceat(power[: _EDGES[-1]], _EDGES[:-1])
        floor = self._noise_floor(bands)

        level_dbfs = _level_dbfs(step)
        self._snr_db = 10 * float(np.log10((bands + QUANTISATION) / floor).mean())
        if self._snr_db > self._min_snr_db and _periodicity(power, floor) > PERIODICITY:
            self._periodic.append((level_dbfs, _dbfs(float(bands.sum()))))
        else:
            self._periodic.clear()
        self._loudest_dbfs -= self._forget_db
        self._trust -= self._trust > 0
        if self._is_voice():
            self._loudest_dbfs = max(self._loudest_dbfs, level_dbfs)
            gain = self._trust_gain if self._trust else self._first_trust
            self._trust = min(self._trust + gain, self._most_trust)
        return float(floor.sum())

    def _is_voice(self) -> bool:
        """Is what has been periodic alive, and not far away?

        Fading is seen best in the level of each step alone, a hum's constancy in that of the
        smooth window, within which its periods do not beat.
        """
        if len(self._periodic) < self._lasting:
            return False
        steps = [step for step, _ in self._periodic]
        windows = [window for _, window in self._periodic]
        return (
            max(steps) - min(steps) < self._fading_db
            and max(windows) - min(windows) > MACHINE_DB
            and steps[-1] > self._loudest_dbfs - RANGE_DB
        )


def _dbfs(power: float) -> float:
    return 10 * math.log10(max(power, 1e-9) / FULL_SCALE**2)


def _level_dbfs(samples: Samples) -> float:
    mean = float(samples.mean())  # a converter's offset is no sound
    return _dbfs(float(np.vdot(samples, samples)) / len(samples) - mean * mean)


def _periodicity(power: Power, floor: Power) -> float:
    """How alike the newest samples are one period of a voice apart, from 0 to 1.

    Each bin counts by its signal-to-noise ratio: what is periodic in the noise goes unnoticed.

    Args:
        power: Shape (FFT_SAMPLES // 2 + 1,).
        floor: The noise in each band, shape (BANDS,).
    """
    whitened = np.zeros(_VOICE_BINS.stop, np.float32)
    whitened[_VOICE_BINS] = (power[_VOICE_BINS] / (floor / _WIDTHS)[_VOICE_BAND]) ** COMPRESSION
    correlation = np.fft.irfft(whitened, _LAG_SAMPLES)
    return float((correlation[_LAGS] * _LAG_WEIGHTS).max() / max(correlation[0], 1e-9))
