//! A switch that replaces and restarts the listener itself ends as completed, with one verdict, from the new process.
