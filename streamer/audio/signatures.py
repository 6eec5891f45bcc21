"""Recognises containers of audio by their first bytes."""

SNIFF_BYTES = 16
"""How many first bytes are enough to recognise a container."""

WAV = "a WAV file"

_AT_START = (
    (b"fLaC", "a FLAC file"),
    (b"OggS", "an Ogg file"),
    (b"caff", "a CAF file"),
    (b".snd", "an AU file"),
    (b"riff\x2e\x91\xcf\x11", "a Wave64 file"),
    (b"\x1a\x45\xdf\xa3", "a Matroska or WebM file"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "a Windows Media file"),
    (b"#!AMR", "an AMR file"),
    (b"FLV\x01", "a Flash video"),
    (b".RMF\x00\x00\x00", "a RealMedia file"),
    (b"wvpk", "a WavPack file"),
    (b"MAC \x96\x0f", "a Monkey's Audio file"),
    (b"DSD \x1c\x00\x00\x00", "a DSF file"),
    (b"\x00\x00\x01\xba", "an MPEG program stream"),
    (b"#!SILK", "a SILK file"),
)
_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"skip", b"styp")


def container_of(head: bytes) -> str | None:
    """Name the kind of file that begins with these bytes; None if unknown.

    Args:
        head: The first `SNIFF_BYTES` of it, or all of a shorter one.
    """
    if head[:4] in {b"RIFF", b"RIFX", b"RF64", b"BW64"}:
        return {b"WAVE": WAV, b"AVI ": "an AVI video"}.get(head[8:12], "a RIFF file")
    if head[:4] == b"FORM" and head[8:12] in {b"AIFF", b"AIFC", b"8SVX"}:
        return "an AIFF file"
    if head[:3] == b"ID3" and head[3:4] in {b"\2", b"\3", b"\4"}:
        return "an MP3 file"
    if head[4:8] in _BOXES:
        return "an MPEG-4 file (m4a, mp4, mov, 3gp)"
    return next((name for start, name in _AT_START if head.startswith(start)), None)
