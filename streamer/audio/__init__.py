"""From the microphone, a file or a pipe to 16 kHz PCM in the ring."""
