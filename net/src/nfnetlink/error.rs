use std::io;

/// What went wrong with netfilter: nf_tables, or the tracking of connections. The errno is the `source`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No socket for netlink messages of netfilter.
    #[error("cannot open a netlink socket of netfilter: {source}")]
    Connect {
        /// The errno; `EPROTONOSUPPORT` where the kernel has no `nfnetlink`.
        source: io::Error,
    },
    /// Nothing could be sent or received (`netlink(7)`).
    #[error("cannot {operation} by netlink: {source}")]
    Transport {
        /// What was attempted.
        operation: &'static str,
        /// The errno.
        source: io::Error,
    },
    /// The kernel refused a change, and with it the whole batch.
    #[error("cannot {change}: {source}{}", explained(text.as_deref()))]
    Refused {
        /// The first change that was refused, as a command of nft(8).
        change: String,
        /// Its place in the batch, from 0.
        position: usize,
        /// The kernel's explanation, where it gives one.
        text: Option<String>,
        /// The errno: `EPERM` without `CAP_NET_ADMIN`, `ENOENT` when the table or element is
        /// missing, `EEXIST` when a map has other data for the key, `EOPNOTSUPP` and `ENOENT`
        /// when the kernel lacks a part of nf_tables.
        source: io::Error,
    },
    /// The kernel refused a batch as a whole.
    #[error("cannot make {changes} changes of nf_tables at once: {source}{}",
        explained(text.as_deref()))]
    Batch {
        /// How many changes it holds.
        changes: usize,
        /// The kernel's explanation, where it gives one.
        text: Option<String>,
        /// The errno.
        source: io::Error,
    },
    /// The kernel refused a question, or a removal that is no part of a batch.
    #[error("cannot {operation}: {source}{}", explained(text.as_deref()))]
    Request {
        /// What was asked for.
        operation: String,
        /// The kernel's explanation, where it gives one.
        text: Option<String>,
        /// The errno; `EINTR` when a list changed each time while it was read.
        source: io::Error,
    },
}

fn explained(text: Option<&str>) -> String {
    text.map(|text| format!(" ({text})")).unwrap_or_default()
}

impl Error {
    /// The errno behind the error.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Connect { source }
            | Self::Transport { source, .. }
            | Self::Refused { source, .. }
            | Self::Batch { source, .. }
            | Self::Request { source, .. } => source.raw_os_error(),
        }
    }

    /// Whether a table, set or element that was named does not exist.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.errno() == Some(libc::ENOENT)
    }
}
