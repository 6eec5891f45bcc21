"""Fine-tunes the upper blocks of the encoder on emotions, with augmented speech.

A linear head is fitted to the original encoder first; then both are trained together at small
rates, so that an untrained head does not damage the encoder (Kumar et al. 2022, "Fine-tuning can
distort pretrained features and underperform out-of-distribution"). The lowest layers are frozen;
the rate grows from layer to layer above. The result is the running average of the weights.

The file of the new encoder names the speakers that it was trained on, so that they are not tested.
"""

import hashlib
import json
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it
from torch.nn.attention import SDPBackend, sdpa_kernel

from streamer.model import features
from streamer.model.encoder import Encoder, pool
from streamer.training.augmentation import pieces
from streamer.training.augmentation.degrade import cut
from streamer.training.data.extraction import EmbeddedClips, Embeddings, Extractor, precision
from streamer.training.data.manifest import Clip, labels_of
from streamer.training.data.recordings import FULL_SCALE, Augmented, Recordings
from streamer.training.encoder.files import (
    Provenance,
    load_encoder,
    read_provenance,
    save_encoder,
)
from streamer.training.heads.examples import (
    asked_of,
    example_weights,
    labels_learned,
    soft_targets,
)
from streamer.training.heads.logistic import (
    Examples,
    Head,
    fit,
    known_labels,
)
from streamer.training.output import check_file
from streamer.types import SAMPLE_RATE

LENGTHS_S = (0.6, 1.0, 1.5, 2.0, 2.5, 3.2, 4.0)
"""Lengths of crops in seconds; those of a batch have one length, or that of a shorter recording."""
LENGTH_SHARES = (0.10, 0.18, 0.15, 0.17, 0.17, 0.13, 0.10)
LEVEL_DB = 3.0  # speech is brought to one level, but not always to exactly that
WARPED = 0.8  # of the clips
NEVER = 1e-9  # a weight instead of 0, whose logarithm would be no number
GRADIENT = 1.0  # longest step of all weights together
KEEP_EVERY = 100  # steps, until the next checkpoint
SHOW_EVERY = 10  # steps: a GPU need not wait for each


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTuning:
    """The parameters of fine-tuning.

    Attributes:
        blocks: How many blocks of the encoder are kept.
        frozen: How many of them, from the convolutions up, stay as they are.
        steps: Number of batches.
        batch_s: Seconds of speech in a batch, about.
        rate: Learning rate of the highest block (AdamW).
        decay: Factor of the rate from each block to the one below.
        head_rate: Learning rate of the linear head.
        weight_decay: Weight decay of all of them.
        smoothing: This share of the target goes to the other emotions of the corpus.
        dropout: Dropout of the features, before the head.
        block_dropout: Dropout after attention and perceptron of each trained block.
        size: A corpus weighs by its number of clips to this power.
        voices: As in `Recipe`.
        warp: Largest relative change of the length of the vocal tract.
        hurried: Share of the speech without augmentation whose speed is changed.
        speeds: Lowest and highest factor of the speed.
        disagreement_weight: As in `Recipe`.
        augmented: Share of the speech that is augmented by `degrade`.
        copies: Number of different augmented copies of every clip, to choose from.
        missing_label_weight: As in `Recipe`.
        ordinary: As in `Recipe`.
        softness: As in `Recipe`.
        l2: Penalty of the first linear head.
        seed: Seed of all random numbers.
    """

    blocks: int = 3
    frozen: int = 1
    steps: int = 7800
    batch_s: float = 240.0
    rate: float = 2e-4
    decay: float = 0.7
    head_rate: float = 3e-4
    weight_decay: float = 0.05
    smoothing: float = 0.1
    dropout: float = 0.3
    block_dropout: float = 0.1
    size: float = 0.35
    voices: float = 0.35
    disagreement_weight: float = 0.15
    warp: float = 0.15
    hurried: float = 0.8
    speeds: tuple[float, float] = (0.8, 1.25)
    augmented: float = 0.6
    copies: int = 8
    missing_label_weight: float = 0.03
    ordinary: float = 0.25
    softness: float = 0.05
    l2: float = 0.05
    seed: int = 0

    @property
    def forget(self) -> float:
        """The running average of the weights forgets this much at each step.

        So it spans an eighteenth of a short run, and at most 330 steps.
        """
        return max(0.003, 18 / self.steps)


def finetune(  # noqa: PLR0913 - each is a choice of the caller
    clips: Sequence[Clip],
    *,
    everything: Sequence[Clip] = (),
    encoder: Path,
    out: Path,
    choices: FineTuning,
    cache: Path,
    jobs: int | None = None,
) -> None:
    """Write a fine-tuned encoder; an interrupted run continues from its checkpoint.

    Args:
        clips: Clips to train on, without speakers that will be tested.
        everything: Clips that are decoded and embedded together, so that several runs share the
            work; empty takes ``clips``. Only ``clips`` are trained on.
        encoder: Whisper's encoder as safetensors.
        out: The new one, safetensors.
        choices: The choices in fine-tuning.
        cache: Folder for decoded recordings, the old encoder's output, and the checkpoint.
        jobs: Recordings worked on at once; None takes every core.

    Raises:
        InputError: A recording cannot be read.
        ModelError: The encoder cannot be read.
        OutputError: The new one could not be written.
    """
    check_file(out)
    recordings = Recordings(everything or clips, cache=cache, jobs=jobs)
    augmented = Augmented(
        clips, recordings, voices=clips, copies=choices.copies, cache=cache, jobs=jobs
    )
    extract = Extractor(encoder, blocks=choices.blocks, cache=cache, jobs=jobs)
    vectors = EmbeddedClips(everything or clips, extract)(clips, "plain")
    run = _Run(clips, encoder, choices, recordings, augmented, vectors)
    checkpoint = cache / f"{run.fingerprint}.checkpoint"
    if checkpoint.is_file():
        run.resume(torch.load(checkpoint, weights_only=True))
    with Progress(
        *Progress.get_default_columns()[:2],
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("loss {task.fields[loss]:.3f}"),
    ) as progress:
        task = progress.add_task(
            "fine-tuning", total=choices.steps, completed=run.step, loss=run.loss
        )
        while run.step < choices.steps:
            run.advance()
            if run.step % SHOW_EVERY == 0:
                progress.update(task, completed=run.step, loss=run.loss)
            if run.step % KEEP_EVERY == 0:
                unfinished = checkpoint.with_suffix(".tmp")
                torch.save(run.state(), unfinished)
                unfinished.replace(checkpoint)
    save_encoder(run.averaged_encoder(), out, run.metadata)


class _Net(nn.Module):
    """The encoder, the features standardised as they were before, and a linear head."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, encoder: Encoder, mean: Tensor, deviation: Tensor, head: Head) -> None:
        super().__init__()
        self.encoder = encoder
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)
        self.head = nn.Linear(head.weight.shape[1], head.weight.shape[0])
        with torch.no_grad():
            self.head.weight.copy_(head.weight * deviation)
            self.head.bias.copy_(head.bias + head.weight @ mean)

    def embed(self, mel: Tensor, frames: Tensor) -> Tensor:
        """Return standardised features, shape (batch, features)."""
        outputs = self.encoder(mel, frames=frames)
        pooled = pool([output.float() for output in outputs], self.encoder.lengths(frames))
        return (pooled - self.mean) / self.deviation


def _smoothed(clips: Sequence[Clip], labels: Sequence[str], choices: FineTuning) -> Tensor:
    """Return the targets: those of acted clips are smoothed, those of ordinary speech stay soft."""
    targets = soft_targets(clips, labels, choices.softness)
    rows = [i for i, clip in enumerate(clips) if not clip.ordinary]
    known = known_labels([clips[i] for i in rows], labels)
    smooth = choices.smoothing * known / known.sum(1, keepdim=True)
    targets[rows] = targets[rows] * (1 - choices.smoothing) + smooth
    return targets


class _Run:
    """The state of training, and its data."""

    def __init__(  # noqa: PLR0913, PLR0917 - what it learns from, and how
        self,
        clips: Sequence[Clip],
        encoder: Path,
        choices: FineTuning,
        recordings: Recordings,
        augmented: Augmented,
        embeddings: Embeddings,
    ) -> None:
        self.step = 0
        self._choices = choices
        self._clips = clips
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        labels = labels_of(labels_learned(clips))
        asked = asked_of(clips, labels)
        weights = example_weights(
            clips,
            ordinary=choices.ordinary,
            voices=choices.voices,
            disagreement_weight=choices.disagreement_weight,
            size=choices.size,
        )
        vectors = torch.from_numpy(embeddings)
        mean = weights @ vectors
        deviation = (weights @ (vectors - mean).square()).sqrt().clamp(min=1e-6)
        bias = float(np.log(choices.missing_label_weight or NEVER))
        examples = Examples(vectors, soft_targets(clips, labels, choices.softness), asked, weights)
        first = fit(examples, l2=choices.l2, missing_label_bias=bias)
        body, _ = load_encoder(encoder, blocks=choices.blocks)
        torch.manual_seed(choices.seed)
        self._rng = np.random.default_rng(choices.seed)
        self._net = _Net(body, mean, deviation, first).to(self._device).train()
        self._loss = torch.zeros((), device=self._device)
        self._recordings, self._augmented = recordings, augmented
        self._shares = weights.double().numpy() / weights.double().sum().item()
        self._wanted = _smoothed(clips, labels, choices).to(self._device)
        self._missing_label_bias = (
            torch.zeros(asked.shape).masked_fill(~asked, bias).to(self._device)
        )
        self._optimiser = torch.optim.AdamW(self._groups(), weight_decay=choices.weight_decay)
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimiser, [group["lr"] for group in self._optimiser.param_groups],
            total_steps=choices.steps + 1, pct_start=0.15, div_factor=10, final_div_factor=20,
        )  # fmt: skip
        self._learning = {
            name: value for name, value in self._net.named_parameters() if value.requires_grad
        }
        self._average = {name: value.detach().clone() for name, value in self._learning.items()}
        before = read_provenance(encoder)
        self.metadata = Provenance(
            before.heard | {clip.voice for clip in clips},
            (*before.finetuning, asdict(choices)),
            body.full_rate,
        ).metadata() | {"from": hashlib.sha256(encoder.read_bytes()).hexdigest()}
        """The provenance in the file of the new encoder."""
        names = "\n".join(clip.name for clip in clips)
        state = json.dumps([self.metadata, names], sort_keys=True)
        self.fingerprint = hashlib.sha256(state.encode()).hexdigest()[:24]

    def _groups(self) -> list[dict[str, Any]]:
        """Parameter groups with their rates, layer by layer; adds dropout to trained layers."""
        choices, blocks = self._choices, list(self._net.encoder.blocks)
        self._net.encoder.requires_grad_(requires_grad=False)
        groups = [{"params": list(self._net.head.parameters()), "lr": choices.head_rate}]
        for below_top, block in enumerate(reversed(blocks[choices.frozen :])):
            block.requires_grad_(requires_grad=True)
            rate = choices.rate * choices.decay**below_top
            groups.append({"params": list(block.parameters()), "lr": rate})
            for adds in ("attn.out", "mlp"):
                block.get_submodule(adds).register_forward_hook(self._dropped)
        return groups

    def _dropped(self, _part: nn.Module, _heard: object, said: Tensor) -> Tensor:
        """Apply dropout: this net is only trained; the one with averaged weights is used."""
        return F.dropout(said, self._choices.block_dropout)

    @property
    def loss(self) -> float:
        """The running average of the loss."""
        return float(self._loss)

    def advance(self) -> None:
        """Train on one batch."""
        rows, mel, frames = self._batch()
        with precision(self._device), _plain_attention(self._device):
            vectors = self._net.embed(mel, frames)
        logits = self._net.head(F.dropout(vectors, self._choices.dropout))
        loss = (
            -(self._wanted[rows] * (logits + self._missing_label_bias[rows]).log_softmax(1))
            .sum(1)
            .mean()
        )
        self._optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self._net.parameters(), GRADIENT)
        self._optimiser.step()
        self._schedule.step()
        self.step += 1
        with torch.no_grad():
            self._loss.lerp_(loss, max(0.02, 1 / self.step))
            forget = max(self._choices.forget, 10 / (self.step + 10))
            for name, average in self._average.items():
                average.lerp_(self._learning[name], forget)

    def _batch(self) -> tuple[Tensor, Tensor, Tensor]:
        """Rows of clips, log-mel of a piece of each as it may reach the program, and its frames."""
        rng, choices = self._rng, self._choices
        seconds = rng.choice(LENGTHS_S, p=LENGTH_SHARES)
        count = round(choices.batch_s / max(seconds, 1.1))
        rows: NDArray[np.int64] = rng.choice(len(self._clips), count, p=self._shares)
        augmented, hurried, warped = rng.random((3, count)) < [
            [choices.augmented], [choices.hurried], [WARPED],
        ]  # fmt: skip
        waves = np.zeros((count, round(seconds * SAMPLE_RATE)), np.int16)
        samples = np.zeros(count, np.int64)
        for i, row in enumerate(rows):
            clip = self._clips[row]
            copy = int(rng.integers(choices.copies)) if augmented[i] else None
            heard = self._recordings[clip] if copy is None else self._augmented(clip, copy)
            piece = cut(heard, waves.shape[1], rng)
            waves[i, : len(piece)] = piece
            samples[i] = max(len(piece), features.MIN_SAMPLES)
        speeds = np.where(hurried & ~augmented, rng.uniform(*choices.speeds, count), 1.0)
        levels_db = rng.uniform(-LEVEL_DB, LEVEL_DB, count)
        mel, frames = pieces.log_mel(
            self._tensor(waves) / FULL_SCALE,
            self._tensor(samples),
            speeds=self._tensor(speeds).float(),
            levels_db=self._tensor(levels_db).float(),
        )
        mel = pieces.warped(mel, 1 + warped * rng.uniform(-1, 1, count) * choices.warp)
        return self._tensor(rows), pieces.mask(mel, frames, rng), frames

    def _tensor(self, array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(self._device)

    def state(self) -> dict[str, Any]:
        """The content of a checkpoint."""
        return {
            "step": self.step,
            "loss": self._loss,
            "net": self._net.state_dict(),
            "average": self._average,
            "optimiser": self._optimiser.state_dict(),
            "schedule": self._schedule.state_dict(),
            "torch": torch.get_rng_state(),
            "numpy": json.dumps(self._rng.bit_generator.state),
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self.step, self._loss = state["step"], state["loss"].to(self._device)
        self._net.load_state_dict(state["net"])
        self._average = state["average"]
        self._optimiser.load_state_dict(state["optimiser"])
        self._schedule.load_state_dict(state["schedule"])
        torch.set_rng_state(state["torch"])
        self._rng.bit_generator.state = json.loads(state["numpy"])

    def averaged_encoder(self) -> dict[str, Tensor]:
        """Return the encoder with averaged weights, named as in openai/whisper."""
        prefix = "encoder."
        learned = {
            name.removeprefix(prefix): value
            for name, value in self._average.items()
            if name.startswith(prefix)
        }
        return self._net.encoder.state_dict() | learned


def _plain_attention(device: torch.device) -> AbstractContextManager[None]:
    """Use plain attention: on a CPU, its gradient is several times faster for short pieces."""
    return sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext()
