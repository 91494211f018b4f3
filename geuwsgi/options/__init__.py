"""Declarations of the options, one module a subject."""
