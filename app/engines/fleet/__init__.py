"""Who sends the taxis, and who knows riders and streets."""
