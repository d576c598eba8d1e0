"""From words as they come to sentences that can be spoken. Pure."""
