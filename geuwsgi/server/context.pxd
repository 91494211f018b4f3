# C types for context.py, when it is compiled.

cpdef current_exchange()
