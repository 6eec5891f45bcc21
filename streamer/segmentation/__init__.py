"""Voice activity detection, and the division of a stream into utterances."""
