"""Transports: how clients reach the services."""
