"""From a manifest of recordings to a model bundle and its figures."""
