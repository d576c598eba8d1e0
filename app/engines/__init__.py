"""What recognises, speaks or generates. One folder a kind, one file an engine, the offline one of equal rank."""
