"""Embeds recordings with an encoder, and keeps the embeddings on disk between runs."""

import hashlib
import json
import os
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

from streamer.config import PartialResultsConfig
from streamer.errors import ConfigError, InputError
from streamer.model import features, streaming
from streamer.model.bundle import Bundle
from streamer.model.catalog import WEIGHTS
from streamer.model.encoder import pool
from streamer.model.features import Waveform
from streamer.pipeline import offline
from streamer.training.augmentation.degrade import (
    FULL_SCALE,
    HEARD_S,
    IN_ROOMS,
    VARIATIONS,
    Variation,
    variations,
)
from streamer.training.data.manifest import Clip
from streamer.training.encoder.files import Provenance, check_blocks, load_encoder, read_provenance
from streamer.types import SAMPLE_RATE, Excerpt

BATCH = 32  # recordings that are embedded at once
PARTIALS = {f"partial {seconds:g} s": seconds for seconds in HEARD_S}
"""Forms that are embedded excerpt by excerpt, as live, up to a number of seconds of speech."""

Embeddings = NDArray[np.float32]
"""One pooled vector per clip: shape (clips, 2 * blocks * width)."""
Seconds = NDArray[np.float32]
"""Length of each clip in seconds, without the silence at its ends: shape (clips,)."""


class Extractor:
    """A frozen encoder with a cache on disk.

    Args:
        weights: The encoder's tensors, named as in openai/whisper: a safetensors file; or a bundle
            that holds one.
        blocks: How many of its blocks to use; None uses all. The cache holds all in any case.
        cache: Folder for the embeddings; it may be deleted at any time.
        jobs: Recordings worked on at once; None takes every core.
        rooms: Tails of measured rooms for degraded forms, see `read_rooms`.

    Raises:
        ModelError: The weights cannot be read, or are no such encoder.
    """

    def __init__(
        self,
        weights: Path | Bundle,
        *,
        blocks: int | None = None,
        cache: Path,
        jobs: int | None = None,
        rooms: Sequence[Waveform] = (),
    ) -> None:
        self._variations = variations(rooms)
        digest = hashlib.sha256(b"".join(room.tobytes() for room in rooms)).hexdigest()
        self._rooms = digest if rooms else ""
        if isinstance(weights, Bundle):
            self.encoder, self.shape = weights.network.encoder, weights.manifest.shape
            self._fingerprint, provenance = weights.manifest.files[WEIGHTS], Provenance()
        else:
            self.encoder, self.shape = load_encoder(weights)
            self._fingerprint = hashlib.sha256(weights.read_bytes()).hexdigest()
            provenance = read_provenance(weights)
            if blocks is not None:
                check_blocks(weights, got=self.shape.blocks, expected=blocks)
        self._kept = 2 * self.shape.width * (blocks or self.shape.blocks)
        self._width = 2 * self.shape.width * self.shape.blocks + 1
        self.jobs = jobs or os.cpu_count() or 1
        self._cache = cache
        self.heard = provenance.heard
        self.finetuning = provenance.finetuning

    def __call__(self, clips: Sequence[Clip], variation: str = "plain") -> Embeddings:
        """Embed every clip, or take its embedding from the cache: shape (clips, features).

        Args:
            clips: The clips to embed.
            variation: A key of `VARIATIONS` or `PARTIALS`. Its randomness depends on the clip's
                name alone.

        Raises:
            InputError: A recording cannot be read, or is silent.
        """
        return self._columns(clips, variation, slice(self._kept))

    def seconds(self, clips: Sequence[Clip], variation: str = "plain") -> Seconds:
        """How long every clip is; as for `__call__`, with which it shares the work."""
        return self._columns(clips, variation, slice(-1, None))[:, 0]

    def _columns(
        self, clips: Sequence[Clip], variation: str, columns: slice
    ) -> NDArray[np.float32]:
        result = np.empty((len(clips), len(range(self._width)[columns])), np.float32)
        for corpus in sorted({clip.corpus for clip in clips}):
            rows = [row for row, clip in enumerate(clips) if clip.corpus == corpus]
            result[rows] = self._corpus([clips[row] for row in rows], variation, corpus)[:, columns]
        return result

    def _corpus(self, clips: Sequence[Clip], variation: str, corpus: str) -> NDArray[np.float32]:
        """Vectors and, in the last column, seconds: shape (clips, width)."""
        file = self._cache / f"{self._key(clips, variation)}.npy"
        if file.is_file():
            kept: NDArray[np.float32] = np.load(file, mmap_mode="r", allow_pickle=False)
            return kept
        before = torch.get_num_threads()
        torch.set_num_threads(1)  # many recordings at once scale better than many threads each
        try:
            with (
                Progress(
                    *Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn()
                ) as progress,
                ThreadPoolExecutor(self.jobs) as workers,
            ):
                task = progress.add_task(f"{corpus}: {variation}", total=len(clips))
                result = np.empty((len(clips), self._width), np.float32)
                for rows, vectors in workers.map(
                    lambda rows: (rows, self._embed([clips[row] for row in rows], variation)),
                    _batches(clips),
                ):
                    result[rows] = vectors
                    progress.advance(task, len(rows))
        finally:
            torch.set_num_threads(before)
        self._cache.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(".tmp.npy")
        np.save(unfinished, result)
        unfinished.replace(file)
        return result

    @torch.inference_mode()
    def _embed(self, clips: Sequence[Clip], variation: str) -> NDArray[np.float32]:
        if variation in PARTIALS:
            heard = [self._rolled(clip, PARTIALS[variation]) for clip in clips]
            return np.stack([np.append(each.embedding, np.float32(each.seconds)) for each in heard])
        waves = [_varied(clip, variation, self._variations[variation]) for clip in clips]
        mel, frames = features.log_mel_batch(waves)
        with precision(torch.device("cpu")):
            outputs = self.encoder(mel, frames=frames)
        pooled = pool([output.float() for output in outputs], self.encoder.lengths(frames))
        seconds = [len(wave) / SAMPLE_RATE for wave in waves]
        return np.column_stack([pooled.numpy(), np.array(seconds, np.float32)])

    def _rolled(self, clip: Clip, seconds: float) -> streaming.TimedEmbedding:
        """Embed the last excerpt of the first ``seconds`` of a clip."""
        wave = _speech(clip)[: round(seconds * SAMPLE_RATE)]
        pcm = np.rint(wave * (FULL_SCALE - 1)).astype(np.int16)
        hear, config = streaming.StreamingEmbedder(self.encoder), PartialResultsConfig()
        first, interval, longest = (
            round(each * SAMPLE_RATE)
            for each in (config.first_ms / 1000, config.interval_ms / 1000, config.window_s)
        )
        ends = [*range(first, len(pcm), interval), len(pcm)]
        heard = [hear(Excerpt(1, end, pcm[max(0, end - longest) : end])) for end in ends]
        loud = [each for each in heard if each is not None]
        if not loud:
            raise InputError(f"{clip.path}: is silent, expected speech")
        return loud[-1]

    def _key(self, clips: Sequence[Clip], variation: str) -> str:
        """Differs with everything that the vectors depend on, except the code itself."""
        state = {
            "encoder": self._fingerprint,
            "columns": self._width,
            "full_rate": self.shape.full_rate,
            "features": features.PARAMETERS,
            "variation": [variation, streaming.PIECE, streaming.AHEAD]
            if variation in PARTIALS
            else variation,
            "clips": [(clip.name, clip.path.stat().st_size) for clip in clips],
        }
        if self._rooms and variation in IN_ROOMS:
            state["rooms"] = self._rooms
        return hashlib.sha256(json.dumps(state).encode()).hexdigest()[:24]


def precision(device: torch.device) -> AbstractContextManager[None]:
    """Half precision (bfloat16) where the processor multiplies that several times faster."""
    quick = device.type == "cuda" or any(
        torch.cpu.get_capabilities().get(name) for name in ("amx_bf16", "avx512_bf16")
    )
    return torch.autocast(device.type, torch.bfloat16, enabled=quick)


def _varied(clip: Clip, name: str, variation: Variation) -> Waveform:
    rng = np.random.default_rng(list(f"{name}/{clip.name}".encode()))
    speech = _speech(clip)
    wave = features.prepare(variation(speech, rng))
    if wave is None:  # a crop may have hit a pause
        wave = features.prepare(speech)
    if wave is None:
        raise InputError(f"{clip.path}: is silent, expected speech")
    return wave


def _speech(clip: Clip) -> Waveform:
    return features.trim_silence(features.as_waveform(read_mono(clip.path)))


def check_variations(names: Collection[str]) -> None:
    """Check that forms of clips are known.

    Raises:
        ConfigError: There is no such form.
    """
    known = [*VARIATIONS, *PARTIALS]
    for name in names:
        if name not in known:
            raise ConfigError(f"got variation {name!r}, expected some of: {', '.join(known)}")


def _batches(clips: Sequence[Clip]) -> Iterator[list[int]]:
    """Rows of clips of about the same length, by the size of their files."""
    sizes = [clip.path.stat().st_size for clip in clips]
    rows = sorted(range(len(clips)), key=sizes.__getitem__)
    for begin in range(0, len(rows), BATCH):
        yield rows[begin : begin + BATCH]


class EmbeddedClips:
    """Clips embedded once per variation, in memory: folds take their share of them.

    Args:
        clips: All clips that will be needed.
        extract: Embeds them, when a variation is first needed.
    """

    def __init__(self, clips: Sequence[Clip], extract: Extractor) -> None:
        self._clips = clips
        self._extract = extract
        # two manifests may hold the same name
        self._rows = {(clip.path, clip.name): row for row, clip in enumerate(clips)}
        self._vectors: dict[str, Embeddings] = {}
        self._seconds: dict[str, Seconds] = {}

    def __call__(self, clips: Sequence[Clip], variation: str) -> Embeddings:
        """Shape (clips, 2 * blocks * width), as `Extractor` gives it."""
        if variation not in self._vectors:
            self._vectors[variation] = self._extract(self._clips, variation)
        return self._vectors[variation][self._places(clips)]

    def seconds(self, clips: Sequence[Clip], variation: str) -> Seconds:
        """Shape (clips,), as `Extractor.seconds` gives it."""
        if variation not in self._seconds:
            self._seconds[variation] = self._extract.seconds(self._clips, variation)
        return self._seconds[variation][self._places(clips)]

    def _places(self, clips: Sequence[Clip]) -> list[int]:
        return [self._rows[clip.path, clip.name] for clip in clips]


def read_mono(path: Path) -> Waveform:
    """Read a recording as the program would, shape (samples,).

    It may have any format, rate and channel count; mono at `SAMPLE_RATE` is not changed at all.

    Raises:
        InputError: It cannot be read.
    """
    try:
        with soundfile.SoundFile(path) as file:
            if (file.samplerate, file.channels) == (SAMPLE_RATE, 1):
                wave: Waveform = file.read(dtype="float32")
                if not np.isfinite(wave).all():
                    raise InputError(f"{path}: holds NaN or infinity, expected finite samples")
                return wave
    except (OSError, soundfile.LibsndfileError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    return features.as_waveform(offline.mixed(path))
