"""A locked child process: where a stranger's SQL runs. It knows nothing of SQL; what it does is given to it."""
