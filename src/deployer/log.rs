//! Temporary.
/// News.
#[derive(Debug)]
pub enum LogNews {
    /// The next piece of the log.
    Text {
        /// Where.
        offset: u64,
        /// What.
        text: String,
    },
    /// Missing.
    Missing,
    /// Silent.
    Silent,
    /// End.
    End,
}
/// S.
#[derive(Debug)]
pub enum LogStart {
    /// B.
    Beginning,
    /// L.
    Last(u64),
}
/// F.
pub struct LogFollow;
impl LogFollow {
    /// O.
    pub async fn open(
        _: crate::bus::Bus,
        _: crate::protocol::Name,
        _: crate::protocol::Id,
        _: LogStart,
    ) -> Result<Self, crate::bus::LinkError> {
        Ok(Self)
    }
    /// N.
    pub async fn next(&mut self) -> Option<Result<LogNews, crate::bus::LinkError>> {
        std::future::pending().await
    }
}
