"""Serves the realtime audio endpoint of Hume's Expression Measurement API, as far as measured.

The peer sends mono 16-bit audio at 16 kHz, and may configure the session before. An utterance
begins with ``utterance.start`` and ends with ``utterance.end``; results come meanwhile, and one
after it has ended. Expressions are the emotions that have a name there; voice attributes are not
measured. A result is of the utterance so far, not of its last ten seconds.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

from streamer.events import Event, PartialResult, UtteranceStarted
from streamer.server.protocols.audio import decode_audio
from streamer.server.protocols.base import (
    CallAudio,
    CallEnd,
    CallItem,
    CallStart,
    Codec,
    Ending,
    Message,
    ProtocolError,
    Reply,
    json_object,
)
from streamer.types import SAMPLE_RATE, Prediction, Utterance

CHANNEL = "speaker"

AUDIO = {"type": "audio/pcm", "encoding": "s16le", "sample_rate": SAMPLE_RATE, "channels": 1}
"""The only format of audio."""

TIMER_MS = 3_000
"""Default of the milliseconds between two results."""

TIMERS_MS = (250, 10_000)
"""Lowest and highest value of a session."""

MAX_FRAME_S = 8
"""A message of the server holds 256 KiB; there, ten seconds are allowed."""

NAMES = {
    "neutral": "neutral",
    "calm": "calmness",
    "happy": "joy",
    "sad": "sadness",
    "angry": "anger",
    "fearful": "fear",
    "disgust": "disgust",
}
"""Hume's names of the emotions. Surprise has none: Hume tells ``surprise (positive)`` from
``surprise (negative)``, streamer does not."""

MIN_PROBABILITY = 0.05
"""Probability below which an expression is left out."""


@dataclass(frozen=True, slots=True)
class SessionUpdate:
    """What the peer wants of the session."""

    timer_ms: int = TIMER_MS

    @classmethod
    def from_object(cls, message: Mapping[str, Any]) -> "SessionUpdate":
        """Read it.

        Raises:
            ProtocolError: A value is not allowed.
        """
        audio = message.get("audio") or {}
        if not isinstance(audio, dict) or any(
            value is not None and (key not in AUDIO or AUDIO[key] != value)
            for key, value in audio.items()
        ):
            raise ProtocolError(f"audio: got {audio!a:.80}, expected {json.dumps(AUDIO)}")
        timer = message.get("measurement_timer_ms")
        if timer is None:
            return cls()
        if not isinstance(timer, int) or not TIMERS_MS[0] <= timer <= TIMERS_MS[1]:
            raise ProtocolError(
                f"measurement_timer_ms: got {timer!a:.80}, expected {TIMERS_MS[0]} to "
                f"{TIMERS_MS[1]}"
            )
        return cls(timer)

    def to_object(self) -> dict[str, Any]:
        """It as the peer writes it."""
        return {"type": "session.update", "audio": AUDIO, "measurement_timer_ms": self.timer_ms}


@dataclass(frozen=True, slots=True)
class Measurement:
    """A result of an utterance, in samples from the beginning of the session."""

    number: int
    utterance: int
    start: int
    end: int
    ended: bool
    prediction: Prediction | None

    def to_object(self) -> dict[str, Any]:
        """The message."""
        heard = self.prediction
        found = (
            []
            if heard is None or not heard.is_speech
            else sorted(
                zip(heard.labels, heard.probabilities, strict=True), key=lambda pair: -pair[1]
            )
        )
        return {
            "type": "measurement.result",
            "measurement_id": self.number,
            "utterance_id": self.utterance,
            "audio_start_ms": _ms(self.start),
            "audio_end_ms": _ms(self.end),
            "trigger": "speech_ended" if self.ended else "interval",
            "expressions": [
                {"name": NAMES[label], "probability": round(float(probability), 4)}
                for label, probability in found
                if probability >= MIN_PROBABILITY and label in NAMES
            ],
            "voice_attributes": [],
        }


class HumeCodec(Codec):
    """The messages of one session."""

    def __init__(self) -> None:
        self._session = token_hex(16)
        self._update = SessionUpdate()
        self._samples = 0
        self._frames = 0
        self._results = 0
        self._utterances = 0
        self._open: tuple[int, int, int] | None = None  # number, start and end of its last result

    def greet(self) -> list[Message]:
        """``session.created``."""
        return [self._configured("session.created")]

    def decode(self, message: Message) -> list[CallItem]:
        """What follows from the next message. Raises ProtocolError as `Codec` says.

        A frame that is not allowed is answered, and the session goes on.
        """
        if isinstance(message, bytes):
            return self._frame(message)
        try:
            parsed = json_object(message)
        except ProtocolError as error:
            return [_error("message_invalid", str(error))]
        match parsed.get("type"):
            case "session.update" if not self._frames:
                self._update = SessionUpdate.from_object(parsed)
                return [Reply(self._configured("session.updated"))]
            case "session.update":
                raise ProtocolError("got session.update after audio, expected it before")
            case "session.close":
                return [CallEnd()]
        return [
            _error(
                "message_invalid",
                f"got {parsed.get('type')!a:.80}, expected session.update or session.close",
            )
        ]

    def encode(self, event: Event, shown: Mapping[str, Any] | None) -> list[Message]:
        """Utterances and what is heard in them."""
        del shown
        match event:
            case UtteranceStarted():
                self._open = (event.number, event.start, event.start)
                return [self._utterance("utterance.start", event.number, event.start)]
            case PartialResult() if self._open is not None and self._open[0] == event.number:
                number, start, measured = self._open
                if _ms(event.end - measured) < self._update.timer_ms:
                    return []
                self._open = (number, start, event.end)
                return [self._result(number, start, event.end, event.prediction)]
            case Utterance():
                return self._ended(event)
        return []

    def close(self, ending: Ending, reason: str, summary: Sequence[str]) -> list[Message]:
        """Why the session ends, and what came of it."""
        del summary
        closed = {
            "type": "session.closed",
            "session_id": self._session,
            "reason": {
                Ending.CALL: "client_request",
                Ending.REFUSED: "error",
                Ending.SERVER: "server_shutdown",
            }[ending],
            "received": {"audio_duration_ms": _ms(self._samples), "frames": self._frames},
            "produced": {"utterances": self._utterances, "measurements": self._results},
        }
        if ending is not Ending.REFUSED:
            return [json.dumps(closed)]
        error = {"type": "error", "code": "config_invalid", "message": reason, "retryable": False}
        return [json.dumps(error), json.dumps(closed)]

    def _frame(self, data: bytes) -> list[CallItem]:
        if not data or len(data) % 2 or len(data) > 2 * MAX_FRAME_S * SAMPLE_RATE:
            return [
                _error(
                    "invalid_audio_frame",
                    f"got {len(data)} bytes, expected samples of 2 bytes, {MAX_FRAME_S} s at most",
                )
            ]
        first = not self._frames
        self._frames += 1
        self._samples += len(data) // 2
        start: list[CallItem] = [CallStart("", SAMPLE_RATE, (CHANNEL,))] if first else []
        return [*start, CallAudio(decode_audio(data, "s16le"))]

    def _ended(self, event: Utterance) -> list[Message]:
        self._utterances += 1
        start, end = round(event.start_s * SAMPLE_RATE), round(event.end_s * SAMPLE_RATE)
        measured = self._open[2] if self._open is not None else start
        self._open = None
        last = (
            []
            if start < measured and end - measured < SAMPLE_RATE
            else [self._result(event.number, start, end, event.prediction, ended=True)]
        )
        return [*last, self._utterance("utterance.end", event.number, start, end)]

    def _result(
        self, number: int, start: int, end: int, heard: Prediction | None, *, ended: bool = False
    ) -> str:
        self._results += 1
        found = Measurement(self._results - 1, number - 1, start, end, ended, heard)
        return json.dumps(found.to_object())

    def _utterance(self, kind: str, number: int, start: int, end: int | None = None) -> str:
        ends = {} if end is None else {"audio_end_ms": _ms(end)}
        return json.dumps(
            {"type": kind, "utterance_id": number - 1, "audio_start_ms": _ms(start), **ends}
        )

    def _configured(self, kind: str) -> str:
        about = {"session_id": self._session} if kind == "session.created" else {}
        return json.dumps(
            {"type": kind, **about, "audio": AUDIO, "measurement_timer_ms": self._update.timer_ms}
        )


def _ms(samples: int) -> int:
    return samples * 1000 // SAMPLE_RATE


def _error(code: str, message: str) -> Reply:
    """An error after which the session goes on."""
    return Reply(json.dumps({"type": "error", "code": code, "message": message, "retryable": True}))
