"""From PCM to calibrated probabilities."""
