"""Encoder files, and fine-tuning them."""
