"""This package detects voice activity and divides a stream into utterances."""
