"""Measures time and memory of a peer in its own environment, on one thread.

python clock.py PEER MODEL SPEECH

MODEL is what `fit.py` wrote, or empty for a peer that needs none. SPEECH is an .npz: ``pieces`` of
one length; ``utterances`` and ``excerpts``, each one after the other, with their ``…_ends``. Says
"ready" with the first answer, and figures as JSON in the end.
"""

import importlib
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Wave = NDArray[np.float32]


def recogniser(peer: str, model: str) -> Callable[[Wave], object]:
    """What gives an answer to a piece of speech."""
    module = importlib.import_module(peer)
    if not model:
        answer: Callable[[Wave], object] = module.answer
        return answer
    import joblib  # noqa: PLC0415 - only where there is scikit-learn

    classifier = joblib.load(model)
    return lambda wave: classifier.predict(module.features(wave)[None])[0]


def seconds(answer: Callable[[Wave], object], waves: Sequence[Wave]) -> list[float]:
    """How long each answer takes."""
    taken = []
    for wave in waves:
        began = time.perf_counter()
        answer(wave)
        taken.append(time.perf_counter() - began)
    return taken


def peak_mb() -> float:
    """Most memory of this process, and of it alone: ru_maxrss begins with the parent's."""
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1e3
    import resource  # noqa: PLC0415 - POSIX only

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # macOS counts bytes


def main() -> None:
    """Answer, then measure."""
    peer, model, file = sys.argv[1:]
    speech = np.load(file)
    pieces = list(speech["pieces"])
    answer = recogniser(peer, model)
    answer(pieces[0])
    print("ready", flush=True)
    seconds(answer, pieces[:5])  # caches fill, and what is compiled when it is needed is
    figures: dict[str, object] = {"pieces_s": seconds(answer, pieces)}
    for kind in ("utterances", "excerpts"):
        waves = np.split(speech[kind], speech[f"{kind}_ends"][:-1])
        figures[f"{kind}_s"] = sum(seconds(answer, waves))
    print(json.dumps({**figures, "peak_mb": peak_mb()}))


if __name__ == "__main__":
    main()
