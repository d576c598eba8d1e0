"""Stages: speech-to-text, agent, text-to-speech. Each passes on what it does not consume."""
