"""Inputs nobody would send on purpose, and other parsers as judges of ours."""
