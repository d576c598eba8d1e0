"""What a transport may ask for."""
