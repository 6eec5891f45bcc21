"""Degrades recordings: short pieces, noise, rooms, microphones, telephones, codecs."""

import io
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from types import MappingProxyType
from typing import Literal, TypeAlias, TypeVar

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from streamer.model.features import Waveform, speech_rms
from streamer.training.augmentation.noise import FAMILIES
from streamer.training.augmentation.rooms import synthetic_tail
from streamer.training.augmentation.synthesis import OCTAVE_DB, Frequencies, fft_length, likely
from streamer.types import SAMPLE_RATE, Pcm

Variation: TypeAlias = Callable[[Waveform, np.random.Generator], Waveform]
"""Changes trimmed speech, shape (samples,), to speech recorded in another way."""
Draw: TypeAlias = Callable[[np.random.Generator], Waveform]
"""Draws a recording, shape (samples,)."""
Law: TypeAlias = Literal["ALAW", "ULAW"]
"""The telephone's logarithmic 8-bit code (ITU-T G.711) in Europe, and in America and Japan."""

Samples = TypeVar("Samples", Waveform, Pcm)

MIN_S, MAX_S = 0.6, 3.0  # of a crop
BEGINNINGS = 0.5  # of the crops
TELEPHONE_RATE = 8000  # Hz
TELEPHONE_HZ = (300.0, 3400.0)  # what old lines let through
LINE_DBFS = -26.0  # the level of speech that lines are planned for (ITU-T P.56)
FULL_SCALE = 2**15  # of 16-bit PCM

SPEED = (0.88, 1.13)  # so much faster, and higher
RT60_S = (0.15, 0.8)  # of a room: what is heard of it falls by 60 dB in this time
DIRECT_DB = (-4.0, 12.0)  # of the voice itself over its reverberation
SNR_DB = (3.0, 25.0)  # of speech over added noise
TILT_DB = (-4.0, 4.0)  # per octave, of a microphone
TOP_HZ = (2500.0, 8000.0)  # its upper end
CLIP_DB = (3.0, 15.0)  # below the peak
FAINT_DBFS = (-75.0, -45.0)  # speech of a microphone that is turned down: rounding is heard
BABBLE = (3, 9)  # voices
HEARD_S = (0.5, 1.0, 1.5, 2.0, 3.0)  # of open utterances: their partial results are evaluated
CODECS = (("WAV", "GSM610", 8000), ("OGG", "VORBIS", 8000), ("OGG", "VORBIS", 16000))

NOISES = (
    "coloured noise", "fan", "mains hum", "engine", "keyboard", "clicks", "thumps", "chords",
    "melody", "drums",
)  # fmt: skip
"""The families that are used as background; beeps and coughs are not."""


# --- what training hears --------------------------------------------------------------------------


def degrade(
    wave: Waveform,
    rng: np.random.Generator,
    voices: Draw,
    sounds: Draw | None = None,
    rooms: Sequence[Waveform] = (),
) -> Waveform:
    """Degrade speech as on its way to the program, most often in one or two respects.

    The order is that of reality: speed, room, background, converter, line. It takes about 3 ms for
    2 s of speech.

    Args:
        wave: Shape (samples,), float32 at `SAMPLE_RATE`.
        rng: Source of all random numbers.
        voices: Draws recordings of other people, for babble.
        sounds: Draws recordings of noises and music; None synthesises them.
        rooms: Tails of measured rooms, see `read_rooms`: half of the rooms are of these. Without
            any, all rooms are synthetic.

    Returns:
        Shape (samples,); of another length where the speed was changed.
    """
    if likely(rng, 0.4):
        wave = faster(wave, rng.uniform(*SPEED))
    if likely(rng, 0.35):
        tail = synthetic_tail(rng, rng.uniform(*RT60_S))
        if rooms and likely(rng, 0.5):
            tail = rooms[int(rng.integers(len(rooms)))]
        wave = reverberant(wave, tail, rng.uniform(*DIRECT_DB))
    if likely(rng, 0.35):
        wave = in_noise(wave, background(rng, len(wave), voices, sounds), rng.uniform(*SNR_DB))
    if likely(rng, 0.1):
        wave = clipped(wave, rng.uniform(*CLIP_DB))
    elif likely(rng, 0.1):
        wave = faint(wave, rng.uniform(*FAINT_DBFS))
    if likely(rng, 0.25):
        old = likely(rng, 0.5)
        level = LINE_DBFS + rng.normal(0, 5)
        wave = telephone(wave, "ALAW" if likely(rng, 0.5) else "ULAW", dbfs=level, old=old)
    elif likely(rng, 0.25):
        tilt, top = rng.uniform(*TILT_DB) / OCTAVE_DB, rng.uniform(*TOP_HZ)
        wave = _filtered(wave, lambda hz: np.maximum(hz, 50) ** tilt / (1 + (hz / top) ** 8))
    if likely(rng, 0.08):
        wave = coded(wave, *CODECS[rng.integers(len(CODECS))])
    return wave


def background(
    rng: np.random.Generator, samples: int, voices: Draw, sounds: Draw | None = None
) -> Waveform:
    """A background: babble, a recorded sound, or a synthetic one."""
    if likely(rng, 0.25):
        return babble(rng, samples, voices)
    if sounds is not None and likely(rng, 0.5):
        return repeated(sounds(rng), rng, samples)
    return FAMILIES[NOISES[rng.integers(len(NOISES))]](rng, samples)


def babble(rng: np.random.Generator, samples: int, voices: Draw) -> Waveform:
    """Mix several people who speak at once, some nearer than others."""
    total = np.zeros(samples, np.float32)
    for _ in range(rng.integers(*BABBLE)):
        voice = repeated(voices(rng), rng, samples)
        total += voice * np.float32(10 ** rng.uniform(-0.4, 0) / (speech_rms(voice) or 1.0))
    return total


def repeated(wave: Waveform, rng: np.random.Generator, samples: int) -> Waveform:
    """A number of samples of a recording from a random one on, repeated if needed."""
    if not len(wave):
        return np.zeros(samples, np.float32)
    begin = int(rng.integers(len(wave)))
    times = -(-(begin + samples) // len(wave))
    return np.tile(wave, times)[begin : begin + samples]


def cut(wave: Samples, samples: int, rng: np.random.Generator) -> Samples:
    """Cut a number of samples out of speech, or take all where it is shorter.

    Half of the pieces are beginnings, as the first partial results of an utterance are; the others
    are from anywhere.
    """
    latest = max(0, len(wave) - samples)
    begin = 0 if likely(rng, BEGINNINGS) else int(rng.integers(latest, endpoint=True))
    return wave[begin : begin + samples]


# --- what may go wrong ----------------------------------------------------------------------------


def faster(wave: Waveform, speed: float) -> Waveform:
    """Change speed and pitch by a factor."""
    positions = np.arange(0, len(wave), speed)
    quick: Waveform = np.interp(positions, np.arange(len(wave)), wave).astype(np.float32)
    return quick


def reverberant(wave: Waveform, tail: Waveform, direct_db: float) -> Waveform:
    """Add the reverberation of a room.

    Args:
        wave: Shape (samples,).
        tail: The room's impulse response without the direct sound, shape (samples,).
        direct_db: Level of the direct sound over that of the tail.
    """
    tail = tail * np.float32(10 ** (-direct_db / 20) / np.linalg.norm(tail))
    length = fft_length(len(wave) + len(tail))
    spectrum = np.fft.rfft(wave, length) * np.fft.rfft(tail, length)
    return wave + np.fft.irfft(spectrum, length)[: len(wave)].astype(np.float32, copy=False)


def in_noise(wave: Waveform, sound: Waveform, snr_db: float) -> Waveform:
    """Add a sound at an SNR in dB; pauses of both do not count."""
    level = speech_rms(sound)
    gain = speech_rms(wave) / level / 10 ** (snr_db / 20) if level else 0.0
    return wave + np.float32(gain) * sound


def telephone(wave: Waveform, law: Law, *, dbfs: float = LINE_DBFS, old: bool = True) -> Waveform:
    """Send speech through a telephone line: 8 kHz, and its 8-bit code.

    Args:
        wave: Shape (samples,).
        law: The code.
        dbfs: Level of the speech on the line.
        old: Only 300 to 3400 Hz pass, not everything below 4 kHz.
    """
    if old:
        low, high = TELEPHONE_HZ
        wave = _filtered(wave, lambda hz: 1 / (1 + (low / (hz + 1)) ** 8) / (1 + (hz / high) ** 24))
    line = soxr.resample(wave, SAMPLE_RATE, TELEPHONE_RATE)
    gain = 10 ** (dbfs / 20) / (speech_rms(wave) or 1.0)
    sent = _g711(law)[_to_int16(line * np.float32(gain)).astype(np.int32) + FULL_SCALE]
    heard: Waveform = soxr.resample(sent, TELEPHONE_RATE, SAMPLE_RATE)
    return heard


def clipped(wave: Waveform, db: float) -> Waveform:
    """Clip a number of dB below the peak."""
    limit = np.float32(np.abs(wave).max(initial=0) / 10 ** (db / 20))
    return np.clip(wave, -limit, limit)


def coded(wave: Waveform, container: str, codec: str, rate: int) -> Waveform:
    """Encode speech with a lossy codec at its lowest quality: shape (about samples,)."""
    coarse = {"compression_level": 1.0} if codec == "VORBIS" else {}
    peak = np.float32(np.abs(wave).max(initial=1e-6) * 2)
    file = io.BytesIO()
    line = soxr.resample(wave / peak, SAMPLE_RATE, rate)
    soundfile.write(file, line, rate, format=container, subtype=codec, **coarse)
    file.seek(0)
    heard: Waveform = soxr.resample(soundfile.read(file, dtype="float32")[0], rate, SAMPLE_RATE)
    return heard[: len(wave)] * peak  # some codecs fill their last block up


def faint(wave: Waveform, dbfs: float) -> Waveform:
    """Record speech at this level, rounded to 16 bits."""
    rms = speech_rms(wave)
    return amplified(wave, dbfs - 20 * np.log10(rms)) if rms else wave


def amplified(wave: Waveform, db: float) -> Waveform:
    """Record with another gain: rounded to 16 bits, and clipped."""
    pcm = _to_int16(wave * np.float32(10 ** (db / 20)))
    return pcm.astype(np.float32) / np.float32(FULL_SCALE)


# --- what evaluation hears ------------------------------------------------------------------------


def plain(wave: Waveform, _rng: np.random.Generator) -> Waveform:
    """Return the clip unchanged."""
    return wave


def crop(wave: Waveform, rng: np.random.Generator) -> Waveform:
    """A piece of 0.6 to 3 s: what a partial result has to classify while somebody speaks."""
    shortest = round(MIN_S * SAMPLE_RATE)
    longest = min(len(wave), round(MAX_S * SAMPLE_RATE))
    length = int(rng.integers(shortest, max(shortest, longest), endpoint=True))
    return cut(wave, length, rng)


def degraded(wave: Waveform, rng: np.random.Generator, rooms: Sequence[Waveform] = ()) -> Waveform:
    """`degrade`, with babble made of the clip's own voice, reversed."""
    return degrade(wave, rng, lambda _: wave[::-1], rooms=rooms)


def piece(wave: Waveform, rng: np.random.Generator, rooms: Sequence[Waveform] = ()) -> Waveform:
    """A random piece, as `crop`, degraded."""
    return degraded(crop(wave, rng), rng, rooms)


def noisy(wave: Waveform, rng: np.random.Generator) -> Waveform:
    """Add noise of a random kind at an SNR of 10 dB; babble as in `degraded`."""
    return in_noise(wave, background(rng, len(wave), lambda _: wave[::-1]), 10.0)


def in_a_room(wave: Waveform, rng: np.random.Generator) -> Waveform:
    """Place the microphone a metre or two away in a living room or an office."""
    return reverberant(wave, synthetic_tail(rng, 0.5), 0.0)


def over_telephone(law: Law) -> Variation:
    """Send the clip through an old telephone line."""
    return lambda wave, _rng: telephone(wave, law)


def with_gain(db: float) -> Variation:
    """Change the gain of the microphone."""
    return lambda wave, _rng: amplified(wave, db)


def beginning(seconds: float) -> Variation:
    """Only the first ``seconds``, as for the first partial results."""
    return lambda wave, _rng: wave[: round(seconds * SAMPLE_RATE)]


def variations(rooms: Sequence[Waveform] = ()) -> Mapping[str, Variation]:
    """All forms, by the names under which their features are cached.

    Args:
        rooms: As for `degrade`.
    """
    return MappingProxyType(
        {
            "plain": plain,
            "crop": crop,
            "degraded": partial(degraded, rooms=rooms),
            "piece": partial(piece, rooms=rooms),
            "telephone A-law": over_telephone("ALAW"),
            "telephone mu-law": over_telephone("ULAW"),
            "noise 10 dB": noisy,
            "gain -30 dB": with_gain(-30.0),
            "gain +20 dB": with_gain(20.0),
            "room 0.5 s": in_a_room,
            **{f"first {seconds:g} s": beginning(seconds) for seconds in HEARD_S},
        }
    )


VARIATIONS = variations()
"""The forms with synthetic rooms alone."""

IN_ROOMS = ("degraded", "piece")
"""The forms that depend on the rooms."""


def _filtered(wave: Waveform, gain: Callable[[Frequencies], Frequencies]) -> Waveform:
    """Multiply the spectrum by ``gain(frequency in Hz)``."""
    length = fft_length(len(wave))
    spectrum = np.fft.rfft(wave, length)
    spectrum *= gain(np.fft.rfftfreq(length, 1 / SAMPLE_RATE)).astype(np.float32)
    return np.fft.irfft(spectrum, length)[: len(wave)].astype(np.float32)


def _to_int16(wave: Waveform) -> Pcm:
    return np.clip(np.rint(wave * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


@cache
def _g711(law: Law) -> NDArray[np.float32]:
    """The decoded value of each 16-bit value, shape (65536,), from the lowest on."""
    every = np.arange(-FULL_SCALE, FULL_SCALE).astype(np.int16)
    file = io.BytesIO()
    soundfile.write(file, every, TELEPHONE_RATE, format="WAV", subtype=law)
    file.seek(0)
    back: NDArray[np.float32] = soundfile.read(file, dtype="float32")[0]
    return back
