//! The client library's panics: kept out of the terminal and the log, for the bus logs the end of a connection in one line.

use std::panic::{self, PanicHookInfo};
use std::sync::{Mutex, Once, PoisonError};

/// What the last panic of the client library said.
static REASON: Mutex<Option<String>> = Mutex::new(None);

/// Keeps panics of a connection's task from being printed. Others are printed as before.
pub fn hide_connection_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if is_connection_panic(info) {
                let reason = info.payload_as_str().map(ToOwned::to_owned);
                *REASON.lock().unwrap_or_else(PoisonError::into_inner) = reason;
            } else {
                others(info);
            }
        }));
    });
}

/// Whether it is a connection's task that panics, which the bus survives.
pub fn is_connection_panic(info: &PanicHookInfo<'_>) -> bool {
    // The name of the crate is in the path of its files, wherever they were compiled.
    let ours = info.location().is_some_and(|location| location.file().contains("async-nats"));
    ours && tokio::task::try_id().is_some()
}

/// Why the last connection ended, if that is known.
pub(super) fn take_reason() -> Option<String> {
    REASON.lock().unwrap_or_else(PoisonError::into_inner).take()
}
