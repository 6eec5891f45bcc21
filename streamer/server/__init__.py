"""`streamer serve`: calls come in over a network, events and metrics go out."""
