"""Makes degraded copies of recordings: rooms, noise, telephones, codecs."""
