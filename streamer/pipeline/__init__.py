"""From PCM to classified utterances, live and offline."""
