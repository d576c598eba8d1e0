"""Stores on a plain Redis or Valkey: what must be shared between processes."""
