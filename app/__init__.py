"""Voztaxi: a streaming voice agent that books taxis."""
