"""Small questions to a torch network."""
