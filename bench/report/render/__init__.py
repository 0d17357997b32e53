"""Renderers: one file per format."""
