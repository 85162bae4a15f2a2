"""How one runtime compiles, opens and is measured."""
