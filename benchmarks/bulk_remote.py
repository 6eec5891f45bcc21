"""`streamer file` on a bucket of 1,000 recordings; every tenth answer of the server breaks off.

    python benchmarks/bulk_remote.py --page benchmarks

A real S3-compatible server (moto's) holds recordings of 2 s; of one content there are many. Every
tenth answer of it, to whatever request, breaks off in its middle. The program is ended by `kill -9`
when half of the recordings have rows, and started again; then once more, when all is done. The rows
must be those of the same recordings on disk, each once. `--page` renews the section of BULK.md.
"""

import argparse
import csv
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

import fsspec
from bulk import PROGRAM, TESTS, make, write
from moto.server import ThreadedMotoServer

sys.path.insert(0, str(TESTS))

from breaking_proxy import BreakingProxy

BREAKS = 10
BUCKET = "s3://calls"
OWN = ("session", "source")
"""The columns in which rows from a bucket differ from those from disk."""


@contextmanager
def bucket(folder: Path) -> Iterator[tuple[BreakingProxy, dict[str, str]]]:
    """Serve the recordings of a folder as s3://calls: the proxy, and the program's environment."""
    keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    os.environ |= keys
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # else each request is a line
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    proxy = BreakingProxy(port, BREAKS)
    try:
        system = fsspec.filesystem("s3", endpoint_url=f"http://127.0.0.1:{port}")
        system.mkdir("calls")
        system.put(f"{folder}/", "calls/", recursive=True)
        yield proxy, keys | {"FSSPEC_S3_ENDPOINT_URL": proxy.url}
    finally:
        proxy.close()
        server.stop()


def begun(source: Path | str, out: Path, env: Mapping[str, str]) -> "subprocess.Popen[str]":
    """Start the real program."""
    return subprocess.Popen(  # noqa: S603 - ourselves
        [*PROGRAM, str(source), "--csv", str(out), "--jobs", "1"], text=True,
        env=os.environ | env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def ended(running: "subprocess.Popen[str]") -> str:
    """Wait for its end, and return what it said; SystemExit where it failed."""
    _, error = running.communicate()
    if running.returncode:
        raise SystemExit(f"exit code {running.returncode}: {error}")
    return error


def rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV."""
    with path.open(newline="", encoding="utf-8") as text:
        return list(csv.DictReader(text))


def by_recording(found: list[dict[str, str]]) -> dict[str, list[dict[str, str]]]:
    """Rows by the recording's folder and name, without what differs between disk and bucket.

    Raises:
        SystemExit: The rows of a recording are not together.
    """
    groups = [
        ("/".join(source.split("/")[-2:]), list(map(_shared, own)))
        for source, own in groupby(found, key=lambda cells: cells["source"])
    ]
    if twice := [name for name, times in Counter(name for name, _ in groups).items() if times > 1]:
        raise SystemExit(f"rows of {len(twice)} recordings are not together, first {twice[0]}")
    return dict(groups)


def _shared(cells: dict[str, str]) -> dict[str, str]:
    return {name: cell for name, cell in cells.items() if name not in OWN}


def killed_at(count: int, running: "subprocess.Popen[str]", out: Path) -> int:
    """Kill the program when a CSV has enough rows; return how many it had then."""
    while running.poll() is None:
        lines = out.read_bytes().count(b"\n") - 1 if out.exists() else 0
        if lines >= count:
            running.kill()
            break
        time.sleep(0.05)
    running.communicate()
    return out.read_bytes().count(b"\n") - 1


def main() -> None:
    """Run it and print what was seen; exit 1 where rows differ from those on disk."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--recordings", type=int, default=1000)
    parser.add_argument("--page", type=Path, help="renew the section of BULK.md in this folder")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, local, out = Path(name, "calls"), Path(name, "disk.csv"), Path(name, "bucket.csv")
        make(folder, args.recordings)
        ended(begun(folder, local, {}))
        expected = rows(local)
        with bucket(folder) as (proxy, env):
            began = time.monotonic()
            killed = killed_at(len(expected) // 2, begun(BUCKET, out, env), out)
            print(ended(begun(BUCKET, out, env)), flush=True)
            took, requests, broken = time.monotonic() - began, proxy.requests, proxy.broken
            print(ended(begun(BUCKET, out, env)), flush=True)
            again = proxy.requests - requests
        got = rows(out)
    if by_recording(got) != by_recording(expected):
        raise SystemExit(f"got {len(got)} rows, expected the {len(expected)} of those on disk")
    lines = [
        f"{args.recordings:,} recordings of 2 s in a bucket of moto's server. {broken} of",
        f"{requests:,} answers broke off in their middle; `kill -9` ended the program at {killed}",
        f"rows. Resumed, it has {len(got):,} rows, the same as from disk, none twice, after",
        f"{took:.0f} s beside other programs, the server's own work included. Named again, it",
        f"makes {again} requests.",
    ]
    print("\n".join(lines))
    if args.page:
        write(args.page, "remote", lines)


if __name__ == "__main__":
    main()
