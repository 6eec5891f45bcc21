"""Plays a stream or a recording from the network as a source, through ffmpeg."""

import time
from urllib.parse import urlsplit

import numpy as np

from streamer.audio.ffmpeg import Ffmpeg
from streamer.audio.sources import POLL_S, empty_block
from streamer.errors import InputError
from streamer.text import one_line
from streamer.types import Block, Pcm, SourceInfo

SCHEMES = frozenset(("http", "https", "rtsp", "rtsps", "rtmp", "rtmps", "rtp", "srt", "udp", "tcp"))
PROTOCOLS = "http,https,httpproxy,hls,crypto,data,tls,tcp,udp,rtp,srtp,rtsp,rtsps,rtmp,rtmps,srt"
"""Protocols that a stream may use; reading files of this machine is not among them."""

DOWNLOAD = "download it and listen to the file, where it cannot be read from its beginning on"

TIMEOUT_US = "15000000"
"""How long to wait for a server, in microseconds: 15 s."""


def is_url(text: str) -> bool:
    """Whether this names something on the network, not a file."""
    return "://" in text and urlsplit(text).scheme.lower() in SCHEMES


class UrlSource:
    """What a URL delivers, played at real-time pace.

    Args:
        url: HTTP(S), RTSP, RTMP, SRT, RTP.
        block_s: How much is delivered at once.
    """

    def __init__(self, url: str, *, block_s: float) -> None:
        self._url = url
        self._block_s = block_s
        self._name = _without_password(url)
        self._ffmpeg: Ffmpeg | None = None
        self._waiting: Pcm | None = None
        self._ended = False
        self._started = 0.0
        self._delivered = 0

    def open(self) -> SourceInfo | None:
        """Connect; None where nothing has come yet. May be called again once connected.

        Raises:
            InputError: ffmpeg is missing, or cannot read it.
        """
        if self._ffmpeg is None:
            rtsp = urlsplit(self._url).scheme.lower().startswith("rtsp")
            patience = ("-timeout", TIMEOUT_US, "-rtsp_transport", "tcp") if rtsp else (
                "-rw_timeout", TIMEOUT_US,
            )  # fmt: skip
            options = ("-protocol_whitelist", PROTOCOLS, *patience)
            self._ffmpeg = Ffmpeg(self._url, self._name, options=options)
        if self._ffmpeg.info is None and not self._ffmpeg.wait(POLL_S):
            fault = self._ffmpeg.fault().replace(self._url, self._name)
            raise InputError(f"{self._name}: cannot be read: {fault}")
        info = self._ffmpeg.info
        if info is not None:
            self._waiting = np.zeros((0, info.channels), np.int16)
            self._started = time.monotonic()
        return info

    def read(self) -> Block | None:
        """The next block, once the time for it has come."""
        assert self._ffmpeg is not None  # noqa: S101 - for the type checker
        assert self._ffmpeg.info is not None  # noqa: S101 - for the type checker
        assert self._waiting is not None  # noqa: S101 - for the type checker
        rate = self._ffmpeg.info.sample_rate
        size = max(1, round(self._block_s * rate))
        while len(self._waiting) < size and not self._ended:
            pcm = self._ffmpeg.read(POLL_S)
            if pcm is None:
                self._ended = True
            elif len(pcm):
                self._waiting = np.concatenate((self._waiting, pcm))
            else:
                return empty_block(self._ffmpeg.info.channels)
        block, self._waiting = self._waiting[:size], self._waiting[size:]
        if not len(block):
            if fault := self._ffmpeg.fault().replace(self._url, self._name):
                # MPEG-4 files often have their index at the end; not every server lets one jump
                cure = "" if self._delivered else f"; {DOWNLOAD}"
                raise InputError(f"{self._name}: breaks off: {fault}{cure}")
            return None
        self._delivered += len(block)
        due = self._started + self._delivered / rate
        time.sleep(max(0.0, due - time.monotonic()))
        return Block(block, time.monotonic())

    def close(self) -> None:
        """Disconnect."""
        if self._ffmpeg is not None:
            self._ffmpeg.close()


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return one_line(parts._replace(netloc=host, query="").geturl())
