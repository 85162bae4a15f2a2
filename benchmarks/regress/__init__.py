"""Nights of unchanged and of changed code, and what `paretune regress` says of them."""
