use std::io;

/// Why an archive is not read on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Its bytes could not be had, or end in the middle (`UnexpectedEof`).
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Something in it is not what it should be.
    #[error("{0} in it is damaged or unknown")]
    Broken(&'static str),
    /// What it has is known, but not taken.
    #[error("{0}, which minidock does not read")]
    Refused(String),
}

/// The same words, for who knows errors of reading only.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Io(error) => error,
            other => Self::other(other),
        }
    }
}
