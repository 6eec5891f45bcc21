"""Aligns tracks whose pieces arrive one by one, each with its time."""

from bisect import insort
from collections.abc import Sequence
from operator import itemgetter

import numpy as np

from streamer.server.protocols.base import ProtocolError
from streamer.types import Pcm

MAX_SKEW_S = 0.5
"""Seconds that a track may be behind another before silence replaces it."""

MAX_DISORDER_S = 0.2
"""Seconds that a hole in a track waits for a delayed piece."""

PIECE_S = 0.06
"""Least seconds handed out at once: joining the tracks costs as much for 20 ms."""

MAX_EARLY = 64
"""Maximum number of pieces of a track that wait for an earlier one."""

MAX_JUMP_S = 60.0
"""Maximum of seconds between a piece and the latest one; a larger jump is an error."""


class _Track:
    """One track: the part that is complete, and pieces after a hole."""

    def __init__(self) -> None:
        self.pieces: list[Pcm] = []
        self.end = 0
        """Samples up to which it is complete."""
        self.newest = 0
        """End of its latest piece, in samples."""
        self.late_samples = 0
        self._early: list[tuple[int, Pcm]] = []  # by their place

    def add(self, at: int, pcm: Pcm) -> None:
        """Take a piece that begins at a sample."""
        self.newest = max(self.newest, at + len(pcm))
        if at == self.end and not self._early:  # as it nearly always is
            self._append(pcm)
            return
        insort(self._early, (at, pcm), key=itemgetter(0))
        self._place()
        if len(self._early) > MAX_EARLY:
            self.pad(self._early[0][0])

    def pad(self, to: int) -> None:
        """Replace what is missing before a sample by silence."""
        while self.end < to:
            begins = self._early[0][0] if self._early else to
            self._append(np.zeros(min(begins, to) - self.end, np.int16))
            self._place()

    def _place(self) -> None:
        while self._early and self._early[0][0] <= self.end:
            at, pcm = self._early.pop(0)
            late = min(len(pcm), self.end - at)
            self.late_samples += late
            self._append(pcm[late:])

    def _append(self, pcm: Pcm) -> None:
        if len(pcm):
            self.pieces.append(pcm)
            self.end += len(pcm)


class TrackAligner:
    """Aligns the pieces of tracks in time.

    Pieces may overtake each other within `MAX_DISORDER_S`. An older hole becomes silence. A piece,
    or part of one, that silence has replaced comes too late; it is dropped and counted.

    Args:
        tracks: Their names, in the order of the channels that come out.
        sample_rate: In Hz.
    """

    def __init__(self, tracks: Sequence[str], sample_rate: int) -> None:
        self._tracks = {track: _Track() for track in tracks}
        self._begin = 0  # of what was not handed out yet
        self._newest = 0  # up to where something has come on any track
        self._piece = round(PIECE_S * sample_rate)
        self._skew = round(MAX_SKEW_S * sample_rate)
        self._disorder = round(MAX_DISORDER_S * sample_rate)
        self._jump = round(MAX_JUMP_S * sample_rate)

    @property
    def late_samples(self) -> int:
        """Samples that came too late."""
        return sum(track.late_samples for track in self._tracks.values())

    def add(self, track: str, at: int, pcm: Pcm) -> Pcm:
        """Take a piece of a track.

        Args:
            track: Its name.
            at: Where it begins, in samples from the start.
            pcm: Shape (samples,).

        Returns:
            What is complete now, shape (samples, tracks), none or at least `PIECE_S` of it.

        Raises:
            ProtocolError: There is no such track, or the place is far beyond what came so far.
        """
        if track not in self._tracks:
            raise ProtocolError(
                f"track: got {track!a:.80}, expected {', '.join(self._tracks)}, as start says"
            )
        if at > self._newest + self._jump:
            raise ProtocolError(
                f"timestamp: got a jump of more than {MAX_JUMP_S:.0f} s, expected none"
            )
        self._tracks[track].add(at, pcm)
        self._newest = max(self._newest, at + len(pcm))
        for each in self._tracks.values():
            each.pad(max(each.newest - self._disorder, self._newest - self._skew))
        complete = min(each.end for each in self._tracks.values())
        return self._take(complete if complete - self._begin >= self._piece else self._begin)

    def flush(self) -> Pcm:
        """All that is left, shape (samples, tracks), silence in place of what is missing."""
        for each in self._tracks.values():
            each.pad(self._newest)
        return self._take(self._newest)

    def _take(self, to: int) -> Pcm:
        count = to - self._begin
        if count <= 0:
            return np.zeros((0, len(self._tracks)), np.int16)
        out = np.empty((count, len(self._tracks)), np.int16)
        for index, track in enumerate(self._tracks.values()):
            whole = np.concatenate(track.pieces)
            out[:, index] = whole[:count]
            track.pieces = [whole[count:]]
        self._begin = to
        return out
