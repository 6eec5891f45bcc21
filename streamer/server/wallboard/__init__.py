"""The wallboard: what every call is like now, for a page that shows them all."""
