"""Faults on purpose: many riders on real processes, everything that can break breaks, and the counts say what held."""
