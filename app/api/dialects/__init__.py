"""Wire vocabularies for the same events. Pure."""
