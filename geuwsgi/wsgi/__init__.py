"""PEP 3333: environ, input, gateway, loader."""
