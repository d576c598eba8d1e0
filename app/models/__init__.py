"""Vocabulary: events, messages, bookings. Imports nothing of ours."""
