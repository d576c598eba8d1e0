"""How an answer is read aloud: numbers, addresses, prices and plates as people say them. Pure."""
