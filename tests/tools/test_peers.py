"""The comparison with peers is fair and counts right; what they cost is not a test's business."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from streamer.model.encoder import EmotionNet, NetworkShape
from streamer.training.data.manifest import Clip
from streamer.types import EMOTIONS, SAMPLE_RATE

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def part():
    """Imports a part of benchmarks/peers.py."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
        yield lambda name: importlib.import_module(f"comparison.{name}")


def clip(corpus: str, fold: str, index: int) -> Clip:
    """A clip that nobody reads."""
    emotion = EMOTIONS[index % len(EMOTIONS)]
    name = f"{corpus}/{fold}/{index}"
    return Clip(Path(name), name, corpus, f"{fold}-{index % 4}", emotion, fold=fold)


def test_nobody_is_learned_from_and_tested(part):
    """The folds that the encoder has not heard are tested, everybody else is learned from."""
    accuracy = part("accuracy")
    clips = [clip("ravdess", fold, i) for fold in "123" for i in range(20)]
    clips += [clip("crema-d", fold, i) for fold in "12" for i in range(20)]
    clips += [clip("savee", "1", i) for i in range(20)]
    train, tests = accuracy.split(clips, 15)
    assert {c.fold for c in tests["ravdess"]} == {"1", "2"}
    assert {c.fold for c in tests["crema-d"]} == {"1"}
    tested = {c.voice for test in tests.values() for c in test}
    assert not tested & {c.voice for c in train}
    assert [len(test) for test in tests.values()] == [15, 15]
    assert [sum(c.corpus == name for c in train) for name in ("crema-d", "ravdess", "savee")] == [
        15, 15, 15,
    ]  # fmt: skip
    assert accuracy.split(clips, 15) == (train, tests)


def test_recall_is_not_weighted(part):
    """A rare emotion counts as much as a frequent one, and no answer is a wrong one."""
    clips = [clip("ravdess", "1", 0)] * 3 + [clip("ravdess", "1", 1)]
    happy, calm = clips[0].emotion, clips[3].emotion
    assert part("accuracy").uar(clips, [happy, happy, "", calm]) == pytest.approx(5 / 6)
    assert part("accuracy").uar(clips, [happy, happy, happy, happy]) == 0.5


def test_multiply_adds_are_those_of_the_net(part):
    """As many as torch itself counts while the net runs."""
    shape = NetworkShape(mels=8, width=32, heads=4, blocks=2, full_rate=1, positions=200, labels=8)
    net = EmotionNet(shape).eval()
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        net(torch.zeros(1, shape.mels, 300))
    assert part("cost").multiply_adds(shape, 3.0) == pytest.approx(counter.get_total_flops() / 2)


def test_excerpts_are_as_configured(part):
    """From half a second on, four a second, three seconds at most, always up to now."""
    utterance = np.arange(5 * SAMPLE_RATE, dtype=np.int32)
    found = list(part("cost").excerpts(utterance))
    ends = [excerpt[-1] + 1 for excerpt in found]
    assert ends == list(range(SAMPLE_RATE // 2, 5 * SAMPLE_RATE, SAMPLE_RATE // 4))
    assert max(map(len, found)) == 3 * SAMPLE_RATE
    assert len(found[0]) == SAMPLE_RATE // 2


def test_a_peer_that_fails_is_a_row(part, monkeypatch):
    """It says why, in the last line of what failed; the others go on."""
    baselines, page = part("baselines"), part("page")
    peer = baselines.Peer(script="none", title="None", requires=())
    failures: dict[str, str] = {}
    with baselines.noting(peer, failures):
        baselines.run([sys.executable, "-c", "print(1); raise SystemExit('no such package')"])
    assert failures == {"none": "no such package"}
    monkeypatch.setattr(page, "BASELINES", (peer,))
    whole = {"real_time_factor": 0.1, "once_ms": 1.0, "segmenting_us": 1.0, "peak_mb": 400.0}
    assert any(
        line.startswith("| None | not measured: no such package |")
        for line in page.costs_section({}, failures, whole)
    )
