"""Alert delivery to webhooks and programs."""
