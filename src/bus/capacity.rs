//! How much of a subscription may wait to be read.

/// The limit of one subscription: what arrives beyond it is dropped and counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Messages.
    pub messages: usize,
    /// Bytes of all of them together.
    pub bytes: usize,
}

impl Capacity {
    /// For a listener and a builder: they answer as fast as they read, and a request that was dropped is sent again.
    pub const SERVICE: Self = Self { messages: 1024, bytes: 8 << 20 };
    /// For commands and the console: a thousand hosts that answer at once with the largest message, or tens of thousands
    /// with an ordinary one.
    pub const OPERATOR: Self = Self { messages: 64 << 10, bytes: 64 << 20 };
}
