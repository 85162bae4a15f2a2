"""A bundle, checked where it is to run: is it still what its manifest says?"""
