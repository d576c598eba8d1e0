"""What a microphone sends, as the sound that recognisers hear."""
