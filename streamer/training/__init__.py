"""This package trains model bundles from recordings, and measures them."""
