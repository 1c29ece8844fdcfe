"""Small models of the project's own, and what writes them."""
