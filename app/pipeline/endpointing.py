"""From probabilities of speech to where utterances begin and end. Pure."""
