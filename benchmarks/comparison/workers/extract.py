"""Computes features of many clips in a peer's own environment; prints a dot for each ten.

python extract.py PEER SPEECH ENDS FIRST STEP OUT
"""

import importlib
import sys

import numpy as np


def main() -> None:
    """Of the clips FIRST, FIRST + STEP, …: an array of shape (clips, features) in OUT."""
    peer, speech, ends, first, step, out = sys.argv[1:]
    features = importlib.import_module(peer).features
    pcm, last = np.load(speech, mmap_mode="r"), np.load(ends)
    begins = np.concatenate(([0], last[:-1]))
    vectors = []
    for row in range(int(first), len(last), int(step)):
        vectors.append(features(np.array(pcm[begins[row] : last[row]])))
        if len(vectors) % 10 == 0:
            print(".", flush=True)
    np.save(out, np.stack(vectors))


if __name__ == "__main__":
    main()
