//! The operator's machine gone for good: the host finishes alone, `history` and `status` tell. Two operators at once: one
//! runs, one is `already_running` with the id of the first.
