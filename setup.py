"""Finds the rooms: pyproject.toml alone cannot put the package's name before what it finds."""

from setuptools import find_packages, setup

rooms = find_packages(include=["profiles*", "backends*", "search*", "reports*"])
setup(packages=["paretune", *(f"paretune.{room}" for room in rooms)])
