//! Downloads that are checked against a pinned SHA-256 and appear whole or not at all.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest, Sha256};

const CONNECT: Duration = Duration::from_secs(4);
const FIRST_BYTE: Duration = Duration::from_secs(10);
const WHOLE: Duration = Duration::from_secs(300);

/// Makes `file` hold the content with this checksum: from the cache, else from the first of `urls`
/// that has it.
pub(crate) fn download(urls: &[String], sha256: &str, file: &Path) -> Result<()> {
    if file.exists() {
        match verify(file, sha256) {
            Ok(()) => return Ok(()),
            Err(why) => println!("  the cached copy is not used: {why:#}"),
        }
    }
    let mut failures = Vec::new();
    for url in urls {
        match download_one(url, sha256, file) {
            Ok(()) => return Ok(()),
            Err(why) => {
                println!("  {url}: {why:#}");
                failures.push(why);
            }
        }
    }
    let last = failures.pop().map_or_else(String::new, |why| format!(", the last with: {why:#}"));
    bail!("all {} mirrors failed{last}", urls.len())
}

fn download_one(url: &str, sha256: &str, file: &Path) -> Result<()> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .https_only(true)
        .timeout_resolve(Some(CONNECT))
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(FIRST_BYTE))
        .timeout_global(Some(WHOLE))
        .build()
        .into();
    let response = agent.get(url).call()?;
    let body = response.into_body();
    let progress = Progress::new(body.content_length());
    store_verified(body.into_reader(), sha256, file, progress)
}

/// Copies `reader` beside `file`, and renames it there only when the checksum is right.
fn store_verified(
    mut reader: impl Read,
    sha256: &str,
    file: &Path,
    mut progress: Progress,
) -> Result<()> {
    let dir = file.parent().unwrap_or(Path::new("."));
    let mut part = tempfile::NamedTempFile::new_in(dir)
        .with_context(|| format!("cannot write into {}", dir.display()))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error).context("the transfer broke off"),
        };
        hash.update(&buffer[..count]);
        part.write_all(&buffer[..count]).context("cannot write the download")?;
        progress.add(count as u64);
    }
    progress.finish();
    compare(&hex(&hash.finalize()), sha256)?;
    part.persist(file).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(())
}

/// Checks that a file has the SHA-256 that was asked for.
pub(crate) fn verify(file: &Path, sha256: &str) -> Result<()> {
    let mut hash = Sha256::new();
    let mut source = File::open(file).with_context(|| format!("cannot open {}", file.display()))?;
    io::copy(&mut source, &mut HashWriter(&mut hash))
        .with_context(|| format!("cannot read {}", file.display()))?;
    compare(&hex(&hash.finalize()), sha256).with_context(|| file.display().to_string())
}

fn compare(actual: &str, wanted: &str) -> Result<()> {
    if !actual.eq_ignore_ascii_case(wanted) {
        bail!("wrong checksum, refused: SHA-256 is {actual}, wanted {wanted}");
    }
    Ok(())
}

struct HashWriter<'a>(&'a mut Sha256);

impl Write for HashWriter<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.update(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A bar on a terminal, a line every few seconds elsewhere.
struct Progress {
    bar: ProgressBar,
    plain: bool,
    said: Instant,
}

impl Progress {
    fn new(total: Option<u64>) -> Self {
        let plain = !io::stderr().is_terminal();
        let bar = match total {
            _ if plain => ProgressBar::hidden(),
            Some(total) => ProgressBar::new(total),
            None => ProgressBar::no_length(),
        };
        let template = "  {bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self { bar, plain, said: Instant::now() }
    }

    fn add(&mut self, count: u64) {
        self.bar.inc(count);
        if self.plain && self.said.elapsed() > Duration::from_secs(3) {
            self.said = Instant::now();
            println!("  {} kB so far", self.bar.position() / 1000);
        }
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
        println!("  {} kB downloaded", self.bar.position() / 1000);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    // printf hello | sha256sum
    const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

    #[test]
    fn the_right_content_appears_whole() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        store_verified(&b"hello"[..], HELLO, &file, Progress::new(Some(5))).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"hello");
        verify(&file, &HELLO.to_uppercase()).unwrap();
    }

    #[test]
    fn a_wrong_checksum_is_refused_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        let error = store_verified(&b"hellp"[..], HELLO, &file, Progress::new(None)).unwrap_err();
        assert!(error.to_string().contains("wrong checksum"), "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_broken_transfer_leaves_nothing() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::from(io::ErrorKind::ConnectionReset))
            }
        }
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        assert!(store_verified(Broken, HELLO, &file, Progress::new(None)).is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_good_cached_file_needs_no_network() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "hello").unwrap();
        download(&[], HELLO, &file).unwrap();
        fs::write(&file, "changed").unwrap();
        assert!(download(&[], HELLO, &file).is_err());
    }
}
