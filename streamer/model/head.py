"""The head: from the embedding of a piece of speech to one logit per label.

    logits = weight @ embedding + bias + out @ relu(hidden @ projection @ embedding + hidden bias)

A linear head is the case without hidden units. These see the embedding in a few directions only:
with all of its features their weights would take a fifth of the bundle.
"""

from torch import Tensor, nn


class HeadLayer(nn.Linear):
    """A head as a layer of a network, shape (..., features) -> (..., labels).

    Args:
        features: Length of an embedding.
        labels: How many.
        hidden: Hidden units; 0 is a linear head.
        directions: In which hidden units see the embedding.
    """

    def __init__(self, features: int, labels: int, hidden: int = 0, directions: int = 0) -> None:
        super().__init__(features, labels)
        self.projection = nn.Linear(features, directions, bias=False) if hidden else None
        self.hidden = nn.Linear(directions, hidden) if hidden else None
        self.out = nn.Linear(hidden, labels, bias=False) if hidden else None

    def forward(self, embedding: Tensor) -> Tensor:
        """Logits."""
        logits = super().forward(embedding)
        if self.projection is None or self.hidden is None or self.out is None:
            return logits
        added: Tensor = self.out(self.hidden(self.projection(embedding)).relu())
        return logits + added
