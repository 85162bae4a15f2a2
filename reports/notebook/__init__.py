"""How values show themselves in a notebook."""
