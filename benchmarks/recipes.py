"""Finds which choices in fine-tuning suit unseen speakers: twelve encoders, side by side.

Of each choice, one way is taken in six of them and the other way in six, no two choices alike
(Plackett & Burman 1946, "The design of optimum multifactorial experiments"), so that each is
classified by all twelve. Minutes on a GPU, a day or two on two cores:

    python benchmarks/recipes.py MANIFEST ENCODER \
        --without ravdess:1,ravdess:2,crema-d:1,crema-d:2,savee:1,nemo \
        --held ravdess:3,ravdess:4,crema-d:3,savee:2,casia
"""

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from streamer.training.data.extraction import Extractor
from streamer.training.data.manifest import Clip, labels_of, leave_out, read_manifest
from streamer.training.data.recordings import Augmented, Recordings
from streamer.training.encoder.finetune import FineTuning, finetune
from streamer.training.evaluation.metrics import figures
from streamer.training.heads.examples import target_indices
from streamer.training.heads.logistic import Examples, asked_labels, balanced_weights, fit
from streamer.training.heads.recipe import Recipe, softmax

WAYS: dict[str, tuple[Any, Any]] = {
    "frozen": (1, 0),
    "rate": (2e-4, 5e-4),
    "block_dropout": (0.1, 0.2),
    "warp": (0.15, 0.25),
    "augmented": (0.5, 0.75),
    "batch_s": (96.0, 240.0),
    "size": (0.35, 0.7),
    "smoothing": (0.1, 0.2),
    "speeds": ((0.88, 1.13), (0.8, 1.25)),
}
FIRST_ROW = (1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0)  # of the design; each next one begins a place later
FORMS = ("plain", "first 1 s", "room 0.5 s", "noise 10 dB", "telephone A-law")
RECIPE = Recipe()  # of the head that classifies: whole clips alone


def main() -> None:
    """Train, classify, and print what each choice changes."""
    args = arguments()
    everything = leave_out(read_manifest(args.manifest), args.without)
    learned = leave_out(everything, args.held)
    rows = [np.zeros(11), *(np.roll(FIRST_ROW, shift) for shift in range(11))]
    design = np.stack(rows[: args.runs]).astype(np.bool_)
    recipes = [
        replace(
            FineTuning(steps=args.steps),
            **{name: ways[int(row[place])] for place, (name, ways) in enumerate(WAYS.items())},
        )
        for row in design
    ]
    prepare(everything, learned, args)
    with ProcessPoolExecutor(args.jobs or len(recipes), get_context("spawn")) as workers:
        run = partial(one, everything, learned, args)
        scores = np.array(list(workers.map(run, range(len(recipes)), recipes)))
    print("way, by which clips are better classified, in points: as recorded, augmented")
    for place, (name, ways) in enumerate(WAYS.items()):
        other = design[:, place]
        if other.any() and not other.all():
            gain = 100 * (scores[other].mean(0) - scores[~other].mean(0))
            print(f"{name}: {ways[1]} instead of {ways[0]}: {gain[0]:+.1f}, {gain[1]:+.1f}")


def arguments() -> argparse.Namespace:
    """What is tried on whom."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("manifest", type=Path)
    parser.add_argument("encoder", type=Path)
    parser.add_argument("--without", type=lambda text: text.split(","), default=[])
    parser.add_argument("--held", type=lambda text: text.split(","), required=True)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--runs", type=int, default=12, help="only this many, from the first")
    parser.add_argument("--jobs", type=int, help="runs at once; all of them without")
    parser.add_argument("--cache", type=Path, default=Path(".cache/features"))
    parser.add_argument("--out", type=Path, default=Path(".cache/encoders"))
    return parser.parse_args()


def prepare(everything: Sequence[Clip], learned: Sequence[Clip], args: argparse.Namespace) -> None:
    """What all runs need is made once."""
    recordings = Recordings(everything, cache=args.cache)
    choices = FineTuning()
    Augmented(learned, recordings, voices=learned, copies=choices.copies, cache=args.cache)
    Extractor(args.encoder, blocks=choices.blocks, cache=args.cache)(everything)


def one(
    everything: Sequence[Clip],
    learned: Sequence[Clip],
    args: argparse.Namespace,
    number: int,
    choices: FineTuning,
) -> tuple[float, float]:
    """One run, in a process of its own; UAR as recorded and augmented, mean of the held corpora."""
    torch.set_num_threads(1)
    ways = {name: getattr(choices, name) for name in WAYS}
    out = args.out / f"recipe-{number}.safetensors"
    finetune(
        learned, everything=everything, encoder=args.encoder, out=out, choices=choices,
        cache=args.cache, jobs=1,
    )  # fmt: skip
    extract = Extractor(out, blocks=choices.blocks, cache=args.cache, jobs=1)
    labels = labels_of(learned)
    examples = Examples(
        torch.from_numpy(extract(learned)),
        torch.eye(len(labels))[target_indices(learned, labels)],
        asked_labels(learned, labels),
        balanced_weights(
            learned, voices=RECIPE.voices, disagreement_weight=RECIPE.disagreement_weight
        ),
    )
    head = fit(examples, l2=RECIPE.l2[0], missing_label_bias=RECIPE.missing_label_bias)
    heard = {clip.name for clip in learned}
    held = [clip for clip in everything if clip.name not in heard and clip.emotion in labels]
    scores = dict.fromkeys(FORMS, 0.0)
    corpora = sorted({clip.corpus for clip in held})
    for form in FORMS:
        for corpus in corpora:
            clips = [clip for clip in held if clip.corpus == corpus]
            logits = head(torch.from_numpy(extract(clips, form)))
            missing = torch.tensor([label not in labels_of(clips) for label in labels])
            probabilities = softmax(logits.masked_fill(missing, -torch.inf))
            targets = target_indices(clips, labels).numpy()
            scores[form] += figures(probabilities, targets, labels).uar / len(corpora)
    told = ", ".join(f"{form} {score:.3f}" for form, score in scores.items())
    print(f"{out.stem}, {ways}: {told}", flush=True)
    return scores["plain"], float(np.mean([scores[form] for form in FORMS[1:]]))


if __name__ == "__main__":
    main()
