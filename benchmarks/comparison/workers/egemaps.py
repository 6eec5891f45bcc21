"""Computes openSMILE's extended Geneva set: functionals of pitch, loudness, voice and spectrum."""

import numpy as np
import opensmile
from numpy.typing import NDArray

_smile = opensmile.Smile(
    feature_set=opensmile.FeatureSet.eGeMAPSv02,
    feature_level=opensmile.FeatureLevel.Functionals,
)


def features(wave: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of a piece of speech at 16 kHz, shape (samples,): shape (88,)."""
    found = _smile.process_signal(wave, 16_000).to_numpy(np.float32)[0]
    return np.nan_to_num(found)  # of a piece that is too short for it, it says nothing
