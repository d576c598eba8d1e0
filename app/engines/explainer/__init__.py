"""Who makes explanations, one file for each way."""
