"""A bundle is a model as a folder: manifest (`bundle.json`), weights, and a card for people.

Nothing in a bundle is ever executed: JSON, safetensors and Markdown.

Another pooling or another net needs a new ``kind`` of network or a new `manifest.FORMAT`; a bundle
that is newer than the program is refused instead of being misread.
"""

import hashlib
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from streamer.errors import ModelError
from streamer.model.catalog import MANIFEST, WEIGHTS
from streamer.model.encoder import EmotionNet
from streamer.model.manifest import Manifest, read_manifest, write_manifest
from streamer.model.priors import log_prior
from streamer.model.speaker.adaptation import VoiceModel
from streamer.model.speaker.clustering import SpeakerModel
from streamer.model.speech import SpeechModel

CARD = "README.md"

HALVED = ("encoder.", "head.projection.")
"""Tensors whose names begin so are stored in half precision."""

ADAPTATION_PREFIX = "baseline."
VOICE_ARRAYS = ("weight", "bias", "centre")
"""The names of the tensors of a `VoiceModel`: this prefix and one of these."""

SPEAKER_ARRAYS = ("projection", "spread")
"""The names of the tensors of its `SpeakerModel`, after the same prefix."""

SPEECH_WEIGHT, SPEECH_BIAS = "speech.weight", "speech.bias"
"""The tensors of a `SpeechModel`."""


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A model in memory.

    Attributes:
        manifest: What it is.
        network: Ready to classify, in float32.
        card: Its README, for people.
        voices: The parameters of speaker adaptation; None where the manifest's ``baseline`` is.
        speech: The speech head; None where the manifest's ``speech`` is.
    """

    manifest: Manifest
    network: EmotionNet
    card: str
    voices: VoiceModel | None = None
    speech: SpeechModel | None = None


def load(folder: Path) -> Bundle:
    """Read a bundle and check every part of it.

    Raises:
        ModelError: It is missing, damaged, of another kind or of a newer format; the message names
            what was got and what was expected.
    """
    manifest = read_manifest(folder)
    _verify_files(folder, manifest)
    try:
        tensors = load_file(folder / WEIGHTS)
        card = (folder / CARD).read_text(encoding="utf-8")
    except (OSError, SafetensorError, UnicodeDecodeError) as error:
        raise ModelError(f"{folder}: cannot be read: {error}") from error
    voices = _build_voices(tensors, manifest, folder / WEIGHTS)
    speech = _build_speech(tensors, manifest, folder / WEIGHTS)
    network = _build_network(tensors, manifest, folder / WEIGHTS)
    return Bundle(manifest, network, card, voices, speech)


def save(bundle: Bundle, folder: Path) -> None:
    """Write a bundle; one that is there already is replaced as a whole, or not at all.

    The encoder's weights are stored in half precision: it moves probabilities in the fourth digit,
    and halves the size; so is the projection of a head's hidden units, which is rounded in training
    already. The digests in the manifest are made here.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        new, old = Path(scratch) / "new", Path(scratch) / "old"
        new.mkdir()
        state = {
            name: (tensor.half() if name.startswith(HALVED) else tensor.float()).contiguous()
            for name, tensor in bundle.network.state_dict().items()
        }
        if bundle.voices is not None:
            state |= {
                f"{ADAPTATION_PREFIX}{name}": torch.from_numpy(
                    getattr(bundle.voices, name)
                ).contiguous()
                for name in VOICE_ARRAYS
            }
            if len(bundle.voices.speakers.spread):
                state |= {
                    f"{ADAPTATION_PREFIX}{name}": torch.from_numpy(array).half().contiguous()
                    for name in SPEAKER_ARRAYS
                    for array in [getattr(bundle.voices.speakers, name)]
                }
        if bundle.speech is not None:
            state[SPEECH_WEIGHT] = torch.from_numpy(bundle.speech.weight).contiguous()
            state[SPEECH_BIAS] = torch.from_numpy(bundle.speech.bias).contiguous()
        save_file(state, new / WEIGHTS)
        (new / WEIGHTS).chmod(0o644)  # safetensors leaves it to its owner alone
        (new / CARD).write_text(bundle.card, encoding="utf-8")
        files = {WEIGHTS: _digest(new / WEIGHTS)}
        write_manifest(new, bundle.manifest.model_copy(update={"files": files}))
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
        shutil.rmtree(old, ignore_errors=True)


def write_card(folder: Path, manifest: Manifest, card: str) -> None:
    """Write the manifest and the card of a bundle anew; the weights stay as they are.

    Raises:
        OSError: They cannot be written.
    """
    write_manifest(folder, manifest)
    (folder / CARD).write_text(card, encoding="utf-8")


def _verify_files(folder: Path, manifest: Manifest) -> None:
    if WEIGHTS not in manifest.files:
        raise ModelError(f"{folder / MANIFEST}: files: expected the digest of {WEIGHTS}")
    for name, expected in manifest.files.items():
        try:
            got = _digest(folder / name)
        except OSError as error:
            raise ModelError(f"{folder / name}: cannot be read: {error}") from error
        if got != expected:
            raise ModelError(
                f"{folder / name}: got SHA-256 {got}, expected {expected}: "
                "the file is damaged or was changed after the bundle was made"
            )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _build_network(tensors: dict[str, Tensor], manifest: Manifest, path: Path) -> EmotionNet:
    described = manifest.network
    least = 12 * described.blocks * described.width**2  # attention and perceptron
    least += described.hidden * described.directions
    if (got := sum(tensor.numel() for tensor in tensors.values())) < least:
        raise ModelError(  # before memory is asked for that such a net would take
            f"{path}: got {got} weights, expected at least {least} for {manifest.network.blocks} "
            f"blocks of width {manifest.network.width}"
        )
    try:
        # Its random weights live only until the next lines, and are no business of the caller's
        # generator. (The meta device would save 90 ms here and cost 2 s, importing sympy.)
        with torch.random.fork_rng(devices=[]):
            network = EmotionNet(manifest.shape)
    except ValueError as error:
        raise ModelError(f"{path.parent / MANIFEST}: network: {error}") from error
    expected = network.state_dict()
    for name, tensor in expected.items():
        _check_tensor(tensors, name, tuple(tensor.shape), path)
    if surplus := sorted(set(tensors) - set(expected)):
        raise ModelError(f"{path}: got tensors that the network has no place for: {surplus}")
    network.load_state_dict({name: tensors[name] for name in expected})
    return network.eval().requires_grad_(requires_grad=False)


def _build_voices(tensors: dict[str, Tensor], manifest: Manifest, path: Path) -> VoiceModel | None:
    """Take speaker adaptation out of ``tensors``, if the manifest describes it."""
    if manifest.baseline is None:
        return None
    labels, size = len(manifest.labels), manifest.shape.features
    described = manifest.baseline

    def take(name: str, *shape: int) -> NDArray[np.float32]:
        _check_tensor(tensors, ADAPTATION_PREFIX + name, shape, path)
        array: NDArray[np.float32] = tensors.pop(ADAPTATION_PREFIX + name).float().numpy()
        return array

    speakers = SpeakerModel.indifferent(size)
    if described.directions:
        speakers = SpeakerModel(
            projection=take("projection", described.directions, size),
            spread=take("spread", described.directions),
            caution=described.caution,
        )
    return VoiceModel(
        weight=take("weight", labels, size),
        bias=take("bias", labels),
        centre=take("centre", labels),
        log_prior=log_prior(manifest.priors.adapted, manifest.labels),
        prior=described.prior,
        temperature=described.temperature,
        speakers=speakers,
    )


def _build_speech(tensors: dict[str, Tensor], manifest: Manifest, path: Path) -> SpeechModel | None:
    """Take the speech head out of ``tensors``, if the manifest has one."""
    if manifest.speech is None:
        return None
    _check_tensor(tensors, SPEECH_WEIGHT, (1, manifest.shape.features), path)
    _check_tensor(tensors, SPEECH_BIAS, (1,), path)
    weight, bias = (tensors.pop(name).float().numpy() for name in (SPEECH_WEIGHT, SPEECH_BIAS))
    return SpeechModel(weight, bias, manifest.speech.threshold)


def _check_tensor(
    tensors: dict[str, Tensor], name: str, shape: tuple[int, ...], path: Path
) -> None:
    if name not in tensors:
        raise ModelError(f"{path}: tensor {name} is missing")
    got = tensors[name]
    if got.shape != shape or not got.is_floating_point():
        raise ModelError(
            f"{path}: tensor {name}: got {tuple(got.shape)} of {got.dtype}, "
            f"expected {shape} of a floating-point type"
        )
    if not np.isfinite(got.numpy()).all():
        raise ModelError(f"{path}: tensor {name}: got NaN or infinity, expected finite numbers")
