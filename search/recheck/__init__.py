"""Artifacts that exist, opened again elsewhere: do they still do what was recorded?"""
