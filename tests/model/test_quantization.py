"""Integers in place of float32: quicker, and nearly the same."""

from itertools import islice

import numpy as np
import pytest
import soundfile
import torch
from shipped import shipped_bundle
from voices import VOICES, truth

from streamer.model import quantization
from streamer.model.classifier import Classifier
from streamer.types import SAMPLE_RATE, Pcm


@pytest.fixture(scope="module")
def said() -> list[Pcm]:
    """Some utterances of the bundled recording."""
    pcm, _ = soundfile.read(VOICES, dtype="int16")
    return [
        pcm[round(t.start * SAMPLE_RATE) : round(t.end * SAMPLE_RATE)] for t in islice(truth(), 6)
    ]


@pytest.mark.skipif(
    not quantization.is_quicker(), reason="this processor is not quicker with integers"
)
def test_little_is_lost(said: list[Pcm]):
    """Of what is heard and of how sure it is; the bundle stays what it is."""
    before = {name: value.clone() for name, value in shipped_bundle().network.state_dict().items()}
    quick, exact = Classifier(shipped_bundle()), Classifier(shipped_bundle(), exact=True)
    for pcm in said:
        got, expected = quick.embed(pcm), exact.embed(pcm)
        assert got is not None
        assert expected is not None
        error = np.linalg.norm(got.embedding - expected.embedding)
        assert 0 < error < 0.03 * np.linalg.norm(expected.embedding)
        probabilities = exact.classify(pcm).probabilities
        assert quick.classify(pcm).probabilities == pytest.approx(probabilities, abs=0.1)
    assert all(
        torch.equal(before[name], v) for name, v in shipped_bundle().network.state_dict().items()
    )


def test_other_processors_calculate_in_float32(said: list[Pcm], monkeypatch):
    """What is quicker here may overflow there."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    plain, exact = Classifier(shipped_bundle()), Classifier(shipped_bundle(), exact=True)
    assert plain.classify(said[0]).probabilities == exact.classify(said[0]).probabilities
