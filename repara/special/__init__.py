"""Elementwise functions and their exact derivatives in every argument, one family a file."""
