"""The guarantee: one turn, one terminal event, last, after the save."""
