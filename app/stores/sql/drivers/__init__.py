"""How transactions are run on each kind of database, one file for each."""
