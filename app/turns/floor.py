"""Who has the floor when the rider speaks while the agent does. Pure."""
