"""This package computes running moods, alerts and call figures from classified utterances."""
