"""Keeps events in Redis Streams: servers write them, wallboards and other systems read them."""
