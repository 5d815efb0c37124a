//! The listener, or the activation program, killed with SIGKILL in each phase: the same verdict as without, or rolled
//! back where the proof of life was lost.
