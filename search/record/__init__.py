"""The words of the house: values and protocols."""
