"""Measures the accuracy of each program on speakers that none was trained on."""

import csv
import os
import random
import shutil
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress, track

from comparison.baselines import CACHE, OURS, ROOT, STDERR, WORKERS, Peer, digest, python, run
from streamer.model import features
from streamer.training.data.extraction import read_mono
from streamer.training.data.manifest import Clip
from streamer.training.encoder.files import read_provenance
from streamer.training.heads.recipe import Recipe

UNSEEN = {"ravdess": ("1", "2"), "crema-d": ("1",)}
"""By corpus, the folds whose speakers nobody learns from; `tools/make_models.sh` leaves them out of
the encoder as well."""


def split(clips: Sequence[Clip], most: int) -> tuple[list[Clip], dict[str, list[Clip]]]:
    """What is learned from, and by corpus what is tested, with nobody on both sides.

    Args:
        clips: All there are.
        most: Clips of each corpus, on either side; drawn by lot, the same ones each time.
    """
    tests: dict[str, list[Clip]] = {corpus: [] for corpus in UNSEEN}
    learned: dict[str, list[Clip]] = {}
    for clip in clips:
        if clip.fold in UNSEEN.get(clip.corpus, ()):
            tests[clip.corpus].append(clip)
        else:
            learned.setdefault(clip.corpus, []).append(clip)

    def some(of: Sequence[Clip]) -> list[Clip]:
        return random.Random(0).sample(of, min(most, len(of)))

    train = [clip for corpus in sorted(learned) for clip in some(learned[corpus])]
    return train, {corpus: some(clips) for corpus, clips in tests.items() if clips}


def learn(
    peer: Peer, train: Sequence[Clip], tests: Mapping[str, Sequence[Clip]]
) -> dict[str, float]:
    """Train a peer on all corpora and, for each that is tested, on that one alone.

    Returns:
        UAR by tested corpus, and by ``CORPUS alone``.

    Raises:
        PeerError: It fails.
    """
    clips = [*train, *(clip for test in tests.values() for clip in test)]
    vectors = extract(peer, clips)
    row = {clip.name: vectors[index] for index, clip in enumerate(clips)}
    classified = [clip for test in tests.values() for clip in test]
    uars = {}
    for alone in ("", *tests):
        learned = [clip for clip in train if alone in ("", clip.corpus)]
        asked = classified if not alone else list(tests[alone])
        model, said = fit(
            peer,
            np.stack([row[clip.name] for clip in learned]),
            learned,
            np.array([row[clip.name] for clip in asked]),
        )
        if not alone:
            shutil.copyfile(model, peer.fitted)
        heard = dict(zip((clip.name for clip in asked), said, strict=True))
        for corpus in [alone] if alone else tests:
            key = f"{corpus} alone" if alone else corpus
            uars[key] = uar(tests[corpus], [heard[clip.name] for clip in tests[corpus]])
    return uars


def extract(peer: Peer, clips: Sequence[Clip]) -> NDArray[np.float32]:
    """A peer's features of clips, shape (clips, features), kept between runs.

    It gets the speech without the silence around it, at the level at which it was recorded.
    """
    script = (WORKERS / f"{peer.script}.py").read_text()
    file = CACHE / f"{peer.script}-{digest(script, [clip.name for clip in clips])}.npy"
    if not file.is_file():
        pcm, ends = pack(clips)
        jobs = os.cpu_count() or 1
        parts = [CACHE / f"{peer.script}-part-{job}.npy" for job in range(jobs)]
        with Progress(console=STDERR) as progress, ThreadPoolExecutor(jobs) as pool:
            task = progress.add_task(f"{peer.script}: features", total=len(clips))
            command = [str(python(peer)), str(WORKERS / "extract.py"), peer.script, str(pcm)]
            list(
                pool.map(
                    lambda job: run(
                        [*command, str(ends), str(job), str(jobs), str(parts[job])],
                        lambda _: progress.advance(task, 10),
                    ),
                    range(jobs),
                )
            )
        vectors = np.empty((len(clips), np.load(parts[0]).shape[1]), np.float32)
        for job, part in enumerate(parts):
            vectors[job::jobs] = np.load(part)
            part.unlink()
        np.save(file, vectors)
    return np.asarray(np.load(file))


def pack(clips: Sequence[Clip]) -> tuple[Path, Path]:
    """The speech of clips in one array, kept between runs, and where each ends."""
    key = digest([clip.name for clip in clips])
    pcm, ends = CACHE / f"speech-{key}.npy", CACHE / f"speech-{key}-ends.npy"
    if not ends.is_file():
        waves = [
            features.trim_silence(features.as_waveform(read_mono(clip.path)))
            for clip in track(clips, "decoding", console=STDERR)
        ]
        np.save(pcm, np.concatenate(waves))
        np.save(ends, np.cumsum([len(wave) for wave in waves]))
    return pcm, ends


def fit(
    peer: Peer,
    vectors: NDArray[np.float32],
    learned: Sequence[Clip],
    tests: NDArray[np.float32],
) -> tuple[Path, list[str]]:
    """Fit a classifier in the peer's environment; returns it, and what it says to the tests.

    A clip weighs what it weighs when streamer's own head is fitted. Kept between runs.
    """
    weights = Recipe().weigh(learned).numpy() * len(learned)
    emotions = [clip.emotion for clip in learned]
    how = (WORKERS / "fit.py").read_text()
    key = digest(how, vectors.tobytes(), tests.tobytes(), weights.tobytes(), emotions)
    model, said = (CACHE / f"{peer.script}-{key}.{kind}" for kind in ("joblib", "txt"))
    if not said.is_file():
        examples = model.with_suffix(".npz")
        np.savez(
            examples,
            features=vectors,
            emotions=emotions,
            weights=weights,
            voices=["/".join(clip.voice) for clip in learned],
            tests=tests,
        )
        with STDERR.status(f"{peer.script}: fitting to {len(learned)} clips"):
            script = [str(python(peer)), str(WORKERS / "fit.py"), peer.classifier]
            said.write_text(run([*script, str(examples), str(model)]))
        examples.unlink()
    return model, said.read_text().splitlines()


def learn_ourselves(
    encoder: Path, train: Sequence[Clip], tests: Mapping[str, Sequence[Clip]]
) -> dict[str, float]:
    """The same for streamer: a bundle is trained by its own command, and asked by its own API."""
    classified = [clip for test in tests.values() for clip in test]
    if met := read_provenance(encoder).heard & {clip.voice for clip in classified}:
        raise SystemExit(f"{encoder}: has heard {len(met)} of the speakers that are tested")
    manifest, asked, folder = (CACHE / f"unseen{end}" for end in (".csv", "-asked.txt", ""))
    code = [file.read_bytes() for file in sorted((ROOT / "streamer").rglob("*.py"))]
    key = digest(encoder.read_bytes(), *code, [c.name for c in train], [c.name for c in classified])
    said = CACHE / f"unseen-{key}.txt"
    if not said.is_file():
        with manifest.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(("path", "corpus", "speaker", "emotion"))
            rows.writerows((c.path.resolve(), c.corpus, c.speaker, c.emotion) for c in train)
        subprocess.run(  # noqa: S603 - our own program, which shows its progress
            [sys.executable, "-m", "streamer", "train", "--manifest", str(manifest),
             "--encoder", str(encoder), "--out", str(folder)],
            check=True, cwd=ROOT, stdout=sys.stderr, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        asked.write_text("".join(f"{clip.path.resolve()}\n" for clip in classified))
        hear = [str(python(OURS)), str(WORKERS / "hear.py"), str(folder), str(asked)]
        with Progress(console=STDERR) as progress:
            task = progress.add_task("streamer: test clips", total=len(classified))
            said.write_text(run(hear, lambda _: progress.advance(task)))
    heard = dict(zip((c.name for c in classified), said.read_text().splitlines(), strict=True))
    return {
        corpus: uar(clips, [heard[clip.name] for clip in clips]) for corpus, clips in tests.items()
    }


def uar(clips: Sequence[Clip], said: Sequence[str]) -> float:
    """Unweighted average recall, with any of the eight emotions allowed as an answer."""
    hits: dict[str, list[bool]] = {}
    for clip, emotion in zip(clips, said, strict=True):
        hits.setdefault(clip.emotion, []).append(emotion == clip.emotion)
    return statistics.mean(statistics.mean(each) for each in hits.values())
