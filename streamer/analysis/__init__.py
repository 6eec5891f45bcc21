"""What follows from classified utterances: running mood and alerts."""
