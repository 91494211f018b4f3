"""Work outside requests: signals, timers, spooler, mules, remote calls."""
