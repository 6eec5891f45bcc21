"""The manifest of a bundle, `bundle.json`, says what the model is; it is checked and signed.

It says everything that must travel with the weights: labels, features, the net's size,
calibration, licences, how it was trained, and the digest of every other file.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    ValidationError,
    model_validator,
)

from streamer.errors import ModelError
from streamer.model import features
from streamer.model.catalog import MANIFEST
from streamer.model.encoder import NetworkShape
from streamer.model.priors import TOLERANCE
from streamer.types import EMOTIONS

FORMAT: Final = 8
"""Version of the format: it changes when an older program can no longer read a bundle.

7: the priors of training and of use are recorded, and adaptation learns the neutral voice of a
speaker. Bundles of older formats are not read.
8: the unadapted head may have hidden units.
"""

OLDEST = 7
"""The oldest format that is read."""

FileName = Annotated[str, StringConstraints(pattern=r"^[\w-][\w.-]*$")]

Size = Annotated[int, Field(gt=0, le=10_000)]

Count = Annotated[int, Field(ge=0, le=10_000)]

Digest = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]

Probability = Annotated[float, Field(gt=0, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Network(_Part):
    """Which net, and how large; the attributes are those of `NetworkShape`.

    Without ``full_rate`` (up to format 5), all blocks see all states; without ``hidden`` (up to
    format 7), the head is linear.
    """

    kind: Literal["whisper-encoder"] = "whisper-encoder"
    pooling: Literal["mean+deviation"] = "mean+deviation"
    mels: Size
    width: Size
    heads: Size
    blocks: Size
    full_rate: Size | None = None
    positions: Size
    hidden: Count = 0
    directions: Count = 0

    @model_validator(mode="after")
    def _check_head(self) -> Self:
        if bool(self.hidden) != bool(self.directions):
            raise ValueError(
                f"got {self.hidden} hidden units that see {self.directions} directions, "
                "expected both or neither"
            )
        return self


class Calibration(_Part):
    """Logits are divided by ``temperature``; a confidence below ``threshold`` is uncertain.

    The logits of short pieces are divided by a higher temperature, see `short_utterance_factor`.
    """

    temperature: float = Field(gt=0)
    threshold: float = Field(ge=0, le=1)
    brevity: float = Field(0.0, ge=0)


class Priors(_Part):
    """How common each emotion is, by label.

    Attributes:
        unadapted: In the training of the unadapted head.
        adapted: In the training of the head for known voices; empty without one.
        natural: In everyday speech.
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
    """Which emotions are positive and which negative; the others are neither."""

    positive: tuple[str, ...]
    negative: tuple[str, ...]


class DataSource(_Part):
    """A source of training data."""

    name: str
    licence: str
    url: str = ""


class Manifest(_Part):
    """What `bundle.json` says.

    Attributes:
        format: `FORMAT` of the program that wrote it.
        name: The name of the model, as the CSV has it.
        version: Its version number.
        labels: The emotions that it knows, in the order of `EMOTIONS`.
        features: `streamer.model.features.PARAMETERS` of its training.
        network: Which net, and how large.
        calibration: From logits to probabilities, and from these to "uncertain".
        priors: How common each emotion is, in training and in everyday speech.
        baseline: How voices are learned; None where they are not.
        speech: The threshold of the speech head; None where everything is taken for speech.
        mood: The grouping behind `Prediction.mood`.
        sources: Its training data, each with its licence.
        training: How it was trained, for people and to repeat it.
        files: SHA-256 of the weights. The card is prose, and may be edited.
        digest: SHA-256 of all of the above, see `content_digest`.
    """

    format: Literal[7, 8] = FORMAT
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
    sources: tuple[DataSource, ...]
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
        """The size of the net."""
        network = self.network
        return NetworkShape(
            mels=network.mels, width=network.width, heads=network.heads, blocks=network.blocks,
            full_rate=network.full_rate or network.blocks,
            positions=network.positions, labels=len(self.labels),
            hidden=network.hidden, directions=network.directions,
        )  # fmt: skip


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write a manifest into the bundle's folder, with the digest of its content."""
    new = manifest.model_copy(update={"format": FORMAT})
    digest = content_digest(new.model_dump(mode="json"))
    text = new.model_copy(update={"digest": digest}).model_dump_json(indent=2) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def content_digest(content: Mapping[str, object]) -> str:
    """SHA-256 of a manifest's content, whatever its line ends, spaces and order of keys.

    Args:
        content: The manifest as JSON holds it; its own ``digest`` does not count.
    """
    rest = {key: value for key, value in content.items() if key != "digest"}
    text = json.dumps(rest, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def read_manifest(folder: Path) -> Manifest:
    """Read and check the manifest of a bundle.

    Raises:
        ModelError: It is missing, or not valid.
    """
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
    if written < OLDEST:
        raise ModelError(
            f"{path}: got format {written}, expected {OLDEST} or later: "
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
    if manifest.digest != (got := content_digest(content)):
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
