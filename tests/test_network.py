"""The encoder: padding is not heard, and chunks hide what is ahead of them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.model.network import Encoder, NetworkShape, pool, states_of

SMALL = NetworkShape(mels=8, width=16, heads=2, blocks=2, positions=150, labels=3)


def small_encoder(seed: int = 0) -> Encoder:
    """One that is quick, with every weight far from zero."""
    torch.manual_seed(seed)
    encoder = Encoder(SMALL).eval().requires_grad_(requires_grad=False)
    for parameter in encoder.parameters():
        parameter.normal_(std=0.3)
    return encoder


def noise(frames: int, seed: int = 0, batch: int = 1) -> torch.Tensor:
    """Shape (batch, mels, frames)."""
    return torch.randn(batch, SMALL.mels, frames, generator=torch.Generator().manual_seed(seed))


ENCODER = small_encoder()


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 90), min_size=1, max_size=4),
    chunk=st.sampled_from((0, 7, 25)),
    left=st.integers(0, 30),
)
def test_padding_is_not_heard(lengths: list[int], chunk: int, left: int):
    """A padded batch gives what each of its rows gives alone."""
    frames = torch.tensor(lengths)
    mel = noise(max(lengths), batch=len(lengths))
    together = ENCODER(mel, frames=frames, chunk=chunk, left=left)
    pooled = pool(together, states_of(frames))
    assert torch.isfinite(torch.stack(together)).all()
    for row, length in enumerate(lengths):
        alone = ENCODER(mel[row : row + 1, :, :length], chunk=chunk, left=left)
        for got, expected in zip(together, alone, strict=True):
            cut = got[row : row + 1, : expected.shape[1]]
            torch.testing.assert_close(cut, expected, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(pooled[row : row + 1], pool(alone), rtol=1e-4, atol=1e-4)


def test_a_chunk_hides_what_is_ahead():
    """All but the last state or two of the first chunk, whose convolutions look on a little."""
    other = noise(60)
    other[..., 27:] += 1
    for chunk, same in ((25, True), (0, False)):
        first, second = (ENCODER(mel, chunk=chunk, left=75)[-1] for mel in (noise(60), other))
        assert torch.equal(first[:, :13], second[:, :13]) is same
        assert not torch.equal(first[:, 13:], second[:, 13:])


def test_left_hides_what_is_long_ago():
    """Through every block once more."""
    other = noise(100)
    other[..., 0] += 1
    first, second = (ENCODER(mel, chunk=10, left=8)[-1] for mel in (noise(100), other))
    reach = 1 + SMALL.blocks * 8
    assert torch.equal(first[:, reach + 1 :], second[:, reach + 1 :])
    assert not torch.equal(first[:, reach - 1], second[:, reach - 1])


def test_pooling_takes_means_and_deviations():
    """Of each block in turn, as anybody would compute them."""
    outputs = [torch.randn(2, 9, 4), torch.randn(2, 9, 4)]
    expected = [f for o in outputs for f in (o.mean(dim=1), o.std(dim=1, correction=0))]
    torch.testing.assert_close(pool(outputs), torch.cat(expected, dim=-1))


@pytest.mark.parametrize("lengths", [None, torch.tensor([1])])
def test_no_deviation_has_a_gradient(lengths: torch.Tensor | None):
    """Of nothing, not of infinity: one position alone deviates from nothing."""
    output = torch.ones(1, 1 if lengths is None else 3, 4, requires_grad=True)
    pool([output], lengths).sum().backward()
    assert output.grad is not None
    assert torch.isfinite(output.grad).all()
