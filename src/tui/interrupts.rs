//! Interrupts that are meant for the console. While the terminal is lent to a program a key sends one to all that run there, so
//! also to us, and we may hear of it only after the program's end.

use rustix::process::{Signal, getpid, kill_process};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::backend::Handle;
use signal_hook::iterator::exfiltrator::origin::{Origin, WithOrigin};
use signal_hook::low_level::siginfo::Cause;
use std::io;
use std::thread;
use tokio::sync::mpsc;

const SIGNALS: [Signal; 2] = [Signal::INT, Signal::QUIT];

/// SIGINT and SIGQUIT as they come.
pub(super) struct Interrupts {
    heard: mpsc::Receiver<Origin>,
    handle: Handle,
}

impl Interrupts {
    /// Takes them from now on.
    pub(super) fn begin() -> io::Result<Self> {
        let mut signals = SignalsInfo::<WithOrigin>::new(SIGNALS.map(Signal::as_raw))?;
        let handle = signals.handle();
        let (told, heard) = mpsc::channel(16);
        thread::Builder::new().name("interrupts".to_owned()).spawn(move || {
            for origin in &mut signals {
                if told.blocking_send(origin).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { heard, handle })
    }

    /// Waits for the next one that a process has sent. The terminal sends none while the console has it, and none of ours is
    /// meant so.
    pub(super) async fn next(&mut self) {
        while let Some(origin) = self.heard.recv().await {
            let is_ours = origin.process.is_some_and(|process| process.pid == getpid().as_raw_pid());
            if matches!(origin.cause, Cause::Sent(_)) && !is_ours {
                return;
            }
        }
    }

    /// Forgets all that were sent until now, also those that we have not heard of yet: none of them comes later than one
    /// that we send ourselves. Two that wait to be delivered become one, so whichever comes is the last or followed by ours.
    pub(super) async fn forget(&mut self) {
        for signal in SIGNALS {
            if kill_process(getpid(), signal).is_ok() {
                while let Some(origin) = self.heard.recv().await {
                    if origin.signal == signal.as_raw() {
                        break;
                    }
                }
            }
        }
        while self.heard.try_recv().is_ok() {}
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        self.handle.close();
    }
}
