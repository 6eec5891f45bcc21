"""streamer in the pipelines of other frameworks; each file needs that framework, and no other."""
