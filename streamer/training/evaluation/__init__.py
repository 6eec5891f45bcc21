"""Measures models: protocols, figures and plots."""
