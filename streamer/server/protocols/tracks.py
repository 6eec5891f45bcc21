"""Tracks that arrive one by one, each piece with its place in time, brought together."""

from collections.abc import Sequence

import numpy as np

from streamer.server.protocols.base import ProtocolError
from streamer.types import Pcm

MAX_SKEW_S = 0.5
"""How far one track may be behind another before silence stands in for it."""

MAX_JUMP_S = 60.0
"""How far a piece may lie beyond what has come so far; more is a damaged place."""


class TrackAligner:
    """Puts the pieces of tracks side by side.

    A hole in a track becomes silence. A piece, or part of one, for which silence already stands in
    comes too late and is dropped, which is counted.

    Args:
        tracks: Their names, in the order of the channels that come out.
        sample_rate: In Hz.
    """

    def __init__(self, tracks: Sequence[str], sample_rate: int) -> None:
        self.late_samples = 0
        """Samples that came too late."""
        self._pieces: dict[str, list[Pcm]] = {track: [] for track in tracks}
        self._ends: dict[str, int] = dict.fromkeys(tracks, 0)
        self._begin = 0  # of what was not handed out yet
        self._skew = round(MAX_SKEW_S * sample_rate)
        self._jump = round(MAX_JUMP_S * sample_rate)

    def add(self, track: str, at: int, pcm: Pcm) -> Pcm:
        """Take a piece of a track.

        Args:
            track: Its name.
            at: Where it begins, in samples from the start.
            pcm: Shape (samples,).

        Returns:
            What is complete now, shape (samples, tracks).

        Raises:
            ProtocolError: There is no such track, or the place is far beyond what came so far.
        """
        if track not in self._ends:
            raise ProtocolError(
                f"track: got {track!a:.80}, expected {', '.join(self._ends)}, as start says"
            )
        if at > max(self._ends.values()) + self._jump:
            raise ProtocolError(
                f"timestamp: got a jump of more than {MAX_JUMP_S:.0f} s, expected none"
            )
        end = self._ends[track]
        late = min(len(pcm), max(0, end - at))
        self.late_samples += late
        if late < len(pcm):
            self._pad(track, at)
            self._append(track, pcm[late:])
        newest = max(self._ends.values())
        for other in self._ends:
            self._pad(other, newest - self._skew)
        return self._take(min(self._ends.values()))

    def flush(self) -> Pcm:
        """All that is left, shape (samples, tracks), silence in place of what is missing."""
        newest = max(self._ends.values())
        for track in self._ends:
            self._pad(track, newest)
        return self._take(newest)

    def _pad(self, track: str, to: int) -> None:
        if to > self._ends[track]:
            self._append(track, np.zeros(to - self._ends[track], np.int16))

    def _append(self, track: str, pcm: Pcm) -> None:
        self._pieces[track].append(pcm)
        self._ends[track] += len(pcm)

    def _take(self, to: int) -> Pcm:
        count = to - self._begin
        if count <= 0:
            return np.zeros((0, len(self._ends)), np.int16)
        out = np.empty((count, len(self._ends)), np.int16)
        for index, (track, pieces) in enumerate(self._pieces.items()):
            whole = np.concatenate(pieces)
            out[:, index] = whole[:count]
            self._pieces[track] = [whole[count:]]
        self._begin = to
        return out
