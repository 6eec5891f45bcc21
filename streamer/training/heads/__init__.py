"""Fits the heads on a frozen encoder: emotions, speakers, speech."""
