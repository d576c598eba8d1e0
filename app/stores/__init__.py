"""Persistence. Returns models, never rows."""
