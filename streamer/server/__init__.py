"""`streamer serve` takes calls over a network, and gives events and metrics."""
