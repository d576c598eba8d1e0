"""What the chain costs between a model and a client, beside other ways to write it."""
