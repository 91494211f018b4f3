"""Internal routing: the rules of ``route*`` options."""
