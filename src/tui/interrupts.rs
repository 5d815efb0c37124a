//! Interrupts that are meant for the console.
//!
//! While a program uses the terminal, an interrupt key signals every process in the foreground, including the console.
//! The console may receive that signal only after the program has ended.

use rustix::process::{Signal, getpid, kill_process};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::backend::Handle;
use signal_hook::iterator::exfiltrator::origin::{Origin, WithOrigin};
use signal_hook::low_level::siginfo::Cause;
use std::io;
use std::thread;
use tokio::sync::mpsc;

const SIGNALS: [Signal; 2] = [Signal::INT, Signal::QUIT];

/// Receives SIGINT and SIGQUIT, with their origin.
pub(super) struct Interrupts {
    rx: mpsc::Receiver<Origin>,
    handle: Handle,
}

impl Interrupts {
    /// Starts to receive the signals.
    pub(super) fn listen() -> io::Result<Self> {
        let mut signals = SignalsInfo::<WithOrigin>::new(SIGNALS.map(Signal::as_raw))?;
        let handle = signals.handle();
        let (tx, rx) = mpsc::channel(16);
        thread::Builder::new().name("interrupts".to_owned()).spawn(move || {
            for origin in &mut signals {
                if tx.blocking_send(origin).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { rx, handle })
    }

    /// Waits for a signal that another process sent. The terminal sends none while the console has it, and the
    /// console's own signals only serve `drain`.
    pub(super) async fn next(&mut self) {
        while let Some(origin) = self.rx.recv().await {
            let is_ours = origin.process.is_some_and(|process| process.pid == getpid().as_raw_pid());
            if matches!(origin.cause, Cause::Sent(_)) && !is_ours {
                return;
            }
        }
    }

    /// Discards all signals that were sent so far, including those not yet received.
    ///
    /// The console signals itself and waits for that signal, because signals arrive in order. If two pending signals
    /// merge into one, it counts as the console's own.
    pub(super) async fn drain(&mut self) {
        for signal in SIGNALS {
            if kill_process(getpid(), signal).is_ok() {
                while let Some(origin) = self.rx.recv().await {
                    if origin.signal == signal.as_raw() {
                        break;
                    }
                }
            }
        }
        while self.rx.try_recv().is_ok() {}
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        self.handle.close();
    }
}
