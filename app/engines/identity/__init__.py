"""Who may say who somebody is."""
