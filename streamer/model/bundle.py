"""A model as a folder: what it is (`bundle.json`), its weights, and a card for people.

The manifest says everything that must travel with the weights: labels, features, the net's size,
calibration, licences, how it was trained, and the digest of every other file. Nothing in a bundle
is ever executed: JSON, safetensors and Markdown.

What comes next (other poolings, other nets) is a new ``kind`` of network or a new `FORMAT`; a
bundle that is newer than the program says so instead of being misread.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    ValidationError,
    model_validator,
)
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from streamer.errors import ModelError
from streamer.model import features
from streamer.model.catalog import MANIFEST, WEIGHTS
from streamer.model.encoder import EmotionNet, NetworkShape
from streamer.model.priors import TOLERANCE, log_prior
from streamer.model.speaker.adaptation import VoiceModel
from streamer.model.speaker.clustering import SpeakerModel
from streamer.model.speech import SpeechModel
from streamer.types import EMOTIONS

FORMAT = 7
"""Raised whenever a bundle could no longer be read by an older program.

7: the priors of training and of use are recorded, and a speaker's neutral voice is what is learned
of a voice. Older bundles were trained without: this program does not read them.
"""

CARD = "README.md"

VOICES = "baseline."
VOICE_ARRAYS = ("weight", "bias", "centre")
"""The tensors of a `VoiceModel` begin so, and end so."""

SPEAKER_ARRAYS = ("projection", "spread")
"""Likewise those of its `SpeakerModel`."""

SPEECH_WEIGHT, SPEECH_BIAS = "speech.weight", "speech.bias"
"""The tensors of a `SpeechModel`."""

FileName = Annotated[str, StringConstraints(pattern=r"^[\w-][\w.-]*$")]
Size = Annotated[int, Field(gt=0, le=10_000)]
Digest = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
Probability = Annotated[float, Field(gt=0, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Network(_Part):
    """Which net, and how large; the attributes are those of `NetworkShape`.

    Without ``full_rate`` (up to format 5), all blocks see all states.
    """

    kind: Literal["whisper-encoder"] = "whisper-encoder"
    pooling: Literal["mean+deviation"] = "mean+deviation"
    mels: Size
    width: Size
    heads: Size
    blocks: Size
    full_rate: Size | None = None
    positions: Size


class Calibration(_Part):
    """Logits are divided by ``temperature``; a confidence below ``threshold`` is uncertain.

    Those of short pieces are divided once more, see `hesitation`.
    """

    temperature: float = Field(gt=0)
    threshold: float = Field(ge=0, le=1)
    brevity: float = Field(0.0, ge=0)


class Priors(_Part):
    """How common each emotion is, by label.

    Attributes:
        unadapted: Where the unadapted head was trained.
        adapted: Where the head for known voices was trained; empty without one.
        natural: Where people live.
    """

    unadapted: dict[str, Probability]
    adapted: dict[str, Probability] = {}
    natural: dict[str, Probability]


class Voices(_Part):
    """The scalars of `VoiceModel`; its arrays are among the weights.

    Without ``directions``, everybody on a channel is the same voice.
    """

    prior: float = Field(gt=0)
    temperature: float = Field(gt=0)
    caution: float = 0.0
    directions: int = Field(0, ge=0)


class Speech(_Part):
    """The scalar of `SpeechModel`; its arrays are among the weights."""

    threshold: float = Field(ge=0, le=1)


class Mood(_Part):
    """Which emotions are good to hear and which are not; the others count for neither."""

    positive: tuple[str, ...]
    negative: tuple[str, ...]


class Source(_Part):
    """Something that went into the weights."""

    name: str
    licence: str
    url: str = ""


class Manifest(_Part):
    """What `bundle.json` says.

    Attributes:
        format: `FORMAT` of the program that wrote it.
        name: How the CSV calls the model.
        version: Its own, counted by whoever trains it.
        labels: The emotions that it tells apart, in the order of `EMOTIONS`.
        features: `streamer.model.features.PARAMETERS` as it was trained on.
        network: Which net, and how large.
        calibration: From logits to probabilities, and from these to "uncertain".
        priors: How common each emotion is: where it was trained, and where people live.
        baseline: How voices are learned; None where they are not.
        speech: What is too little like speech; None where everything is taken for speech.
        mood: The grouping behind `Prediction.mood`.
        sources: What went into the weights, each with its licence.
        training: How it was trained, for people and for a repetition.
        files: SHA-256 of the weights. The card is prose, and may be edited.
        digest: SHA-256 of all of the above, see `signature`.
    """

    format: Literal[7] = 7
    name: Annotated[str, StringConstraints(min_length=1)]
    version: str
    labels: tuple[str, ...] = Field(min_length=2)
    features: dict[str, float]
    network: Network
    calibration: Calibration
    priors: Priors
    baseline: Voices | None = None
    speech: Speech | None = None
    mood: Mood
    sources: tuple[Source, ...]
    training: dict[str, JsonValue] = {}
    files: dict[FileName, Digest] = {}
    digest: Digest | Literal[""] = ""

    @model_validator(mode="after")
    def _check_labels(self) -> Self:
        for label in self.labels:
            if label not in EMOTIONS:
                raise ValueError(f"unknown label {label!r}, expected: {', '.join(EMOTIONS)}")
        if list(self.labels) != sorted(set(self.labels), key=EMOTIONS.index):
            raise ValueError(f"labels {self.labels} repeat or are not in the order of {EMOTIONS}")
        for label in (*self.mood.positive, *self.mood.negative):
            if label not in self.labels:
                raise ValueError(f"unknown label {label!r} in mood, expected: {self.labels}")
        for name, prior in self.priors:
            if set(prior) != set(self.labels) and (prior or name != "adapted" or self.baseline):
                raise ValueError(f"got {name} prior of {sorted(prior)}, expected: {self.labels}")
            if prior and abs(sum(prior.values()) - 1) > TOLERANCE:
                raise ValueError(f"got {name} prior that sums to {sum(prior.values()):g}, not 1")
        return self

    @property
    def shape(self) -> NetworkShape:
        """How large the net is, as the net wants to know it."""
        network = self.network
        return NetworkShape(
            mels=network.mels, width=network.width, heads=network.heads, blocks=network.blocks,
            full_rate=network.full_rate or network.blocks,
            positions=network.positions, labels=len(self.labels),
        )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A model in memory.

    Attributes:
        manifest: What it is.
        network: Ready to classify, in float32.
        card: Its README, for people.
        voices: What is known about voices in general, as the manifest's ``baseline`` says; None
            where nothing is.
        speech: Tells speech from other sounds, as the manifest's ``speech`` says; None where
            nothing does.
    """

    manifest: Manifest
    network: EmotionNet
    card: str
    voices: VoiceModel | None = None
    speech: SpeechModel | None = None


def load(folder: Path) -> Bundle:
    """Read a bundle and check every part of it.

    Raises:
        ModelError: It is missing, damaged, foreign or of a newer format; the message names what
            was got and what was expected.
    """
    manifest = _read_manifest(folder)
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

    Encoder weights are stored in half precision: it moves probabilities in the fourth digit, and
    halves the size. The digests in the manifest are made here.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        new, old = Path(scratch) / "new", Path(scratch) / "old"
        new.mkdir()
        state = {
            name: (tensor.half() if name.startswith("encoder.") else tensor.float()).contiguous()
            for name, tensor in bundle.network.state_dict().items()
        }
        if bundle.voices is not None:
            state |= {
                f"{VOICES}{name}": torch.from_numpy(getattr(bundle.voices, name)).contiguous()
                for name in VOICE_ARRAYS
            }
            if len(bundle.voices.speakers.spread):
                state |= {
                    f"{VOICES}{name}": torch.from_numpy(array).half().contiguous()
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
        _write_manifest(new, bundle.manifest.model_copy(update={"files": files}))
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
        shutil.rmtree(old, ignore_errors=True)


def describe(folder: Path, manifest: Manifest, card: str) -> None:
    """Write the manifest and the card of a bundle anew; the weights stay as they are.

    Raises:
        OSError: They cannot be written.
    """
    _write_manifest(folder, manifest)
    (folder / CARD).write_text(card, encoding="utf-8")


def _write_manifest(folder: Path, manifest: Manifest) -> None:
    digest = signature(manifest.model_dump(mode="json"))
    signed = manifest.model_copy(update={"digest": digest})
    text = signed.model_dump_json(indent=2) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def signature(content: Mapping[str, object]) -> str:
    """SHA-256 of a manifest's content, whatever its line ends, spaces and order of keys.

    Args:
        content: The manifest as JSON holds it; its own ``digest`` does not count.
    """
    rest = {key: value for key, value in content.items() if key != "digest"}
    text = json.dumps(rest, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _read_manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    if not folder.is_dir():
        raise ModelError(f"{folder}: there is no such folder, expected a model bundle")
    if not path.is_file():
        raise ModelError(f"{folder}: is not a model bundle: expected {MANIFEST} in it")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # bad UTF-8 and JSON are ValueErrors
        raise ModelError(f"{path}: cannot be read as JSON: {error}") from error
    written = content.get("format") if isinstance(content, dict) else None
    if not isinstance(written, int):
        raise ModelError(f"{path}: got format {written!r}, expected a number up to {FORMAT}")
    if written > FORMAT:
        raise ModelError(
            f"{path}: got format {written}, expected {FORMAT}: "
            "the bundle is newer than this program; update streamer"
        )
    if written < FORMAT:
        raise ModelError(
            f"{path}: got format {written}, expected {FORMAT}: "
            "the model was made by an older program; train or adapt it anew"
        )
    try:
        manifest = Manifest.model_validate(content)
    except ValidationError as error:
        raise ModelError(_explain(error, path)) from None
    if manifest.features != features.PARAMETERS:
        raise ModelError(
            f"{path}: features: got {manifest.features}, expected {features.PARAMETERS}: "
            "the model was trained on other features than this program computes"
        )
    if manifest.digest != (got := signature(manifest.model_dump(mode="json"))):
        raise ModelError(
            f"{path}: got SHA-256 {got} of its content, expected {manifest.digest or 'none'}: "
            "the file is damaged or was changed after the bundle was made"
        )
    return manifest


def _explain(error: ValidationError, path: Path) -> str:
    """One line per wrong value."""
    return "\n".join(
        f"{path}: {'.'.join(map(str, item['loc'])) or 'content'}: {item['msg']}"
        + (f", got {item['input']!r}" if item["loc"] and item["type"] != "missing" else "")
        for item in error.errors()
    )


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
    least = 12 * manifest.network.blocks * manifest.network.width**2  # attention and perceptron
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
    """Take what is known about voices out of ``tensors``, if the manifest speaks of it."""
    if manifest.baseline is None:
        return None
    labels, size = len(manifest.labels), manifest.shape.features
    described = manifest.baseline

    def take(name: str, *shape: int) -> NDArray[np.float32]:
        _check_tensor(tensors, VOICES + name, shape, path)
        array: NDArray[np.float32] = tensors.pop(VOICES + name).float().numpy()
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
    """Take what tells speech from other sounds out of ``tensors``, if the manifest speaks of it."""
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
