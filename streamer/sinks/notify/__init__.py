"""Delivers alerts to webhooks and programs."""
