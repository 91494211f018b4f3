"""Tasks that wait on the disk: written by anybody, worked on by spooler processes."""
