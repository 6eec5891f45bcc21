"""Measuring models: protocols, figures and plots."""
