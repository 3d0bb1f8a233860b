use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::{Store, StoreError, files};
use crate::{Digest, Hasher};

/// How many bytes are read at once.
const CHUNK: usize = 64 << 10;

/// A blob that is being written. It can be seen in the store when [`BlobWriter::commit`] has found
/// that it is what was announced. Dropped before that, one that has an announced digest stays for
/// whoever needs that blob next; any other goes.
#[derive(Debug)]
pub struct BlobWriter {
    file: File,
    path: PathBuf,
    blobs: PathBuf,
    announced: Option<(Digest, u64)>,
    hasher: Hasher,
    written: u64,
    keep: bool,
    is_done: bool,
}

/// Reads a blob and says at its end whether it was whole: an error then means that all that was
/// read is not to be used.
#[derive(Debug)]
pub struct BlobReader {
    file: File,
    hasher: Hasher,
    digest: Digest,
    size: u64,
    left: u64,
}

impl Store {
    /// Where the blob is, or would be.
    #[must_use]
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(digest.hex())
    }

    /// Whether there is such a blob. Its contents are not read.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn has_blob(&self, digest: &Digest, size: u64) -> Result<bool, StoreError> {
        let path = self.blob_path(digest);
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            found => {
                let found = found.map_err(StoreError::io("read", &path))?;
                Ok(found.is_file() && found.len() == size)
            }
        }
    }

    /// The contents of a small blob, which are what its name says.
    ///
    /// # Errors
    /// It is missing, damaged, larger than `limit` bytes, or cannot be read.
    pub fn read_blob(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>, StoreError> {
        let (file, size) = self.open_any(digest)?;
        if size > limit {
            return Err(StoreError::TooLarge { digest: *digest, size, limit });
        }
        let mut contents = Vec::new();
        let read = file.take(size).read_to_end(&mut contents);
        read.map_err(StoreError::io("read", &self.blob_path(digest)))?;
        match Digest::of(&contents) {
            found if found == *digest => Ok(contents),
            found => Err(StoreError::Damaged { expected: *digest, found }),
        }
    }

    /// Opens a blob to be read from its beginning to its end.
    ///
    /// # Errors
    /// It is missing, has another size, or cannot be opened.
    pub fn open_blob(&self, digest: &Digest, size: u64) -> Result<BlobReader, StoreError> {
        let (file, found) = self.open_any(digest)?;
        if found != size {
            return Err(StoreError::WrongSize { digest: *digest, expected: size, found });
        }
        Ok(BlobReader { file, hasher: Hasher::default(), digest: *digest, size, left: size })
    }

    fn open_any(&self, digest: &Digest) -> Result<(File, u64), StoreError> {
        let path = self.blob_path(digest);
        let failed = || StoreError::io("read", &path);
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(StoreError::MissingBlob(*digest));
            }
            file => file.map_err(failed())?,
        };
        let size = file.metadata().map_err(failed())?.len();
        Ok((file, size))
    }

    /// Begins a blob of an announced digest and size (bytes), or goes on with one that was begun
    /// earlier: [`BlobWriter::written`] tells how much of it there is. While another process has
    /// it, this is one of its own.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn partial(&self, digest: &Digest, size: u64) -> Result<BlobWriter, StoreError> {
        self.prepare()?;
        let path = self.ingest().join(digest.hex());
        let Some(file) = files::unfinished_file(&path)? else {
            let mut own = self.new_writer(&digest.hex())?;
            own.announced = Some((*digest, size));
            return Ok(own);
        };
        let mut writer = self.writer(file, path);
        writer.announced = Some((*digest, size));
        writer.keep = true;
        writer.resume(size)?;
        Ok(writer)
    }

    /// Begins a blob of which the digest is not known before.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn new_blob(&self) -> Result<BlobWriter, StoreError> {
        self.prepare()?;
        self.new_writer("blob")
    }

    /// Adds a small blob.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn put_blob(&self, contents: &[u8]) -> Result<(Digest, u64), StoreError> {
        let mut writer = self.new_blob()?;
        let path = writer.path.clone();
        writer.write_all(contents).map_err(StoreError::io("write", &path))?;
        writer.commit()
    }

    /// Takes a file of the store's own file system as a blob, whose digest was worked out when it
    /// was written. It takes the place of one that is there already, which may be damaged.
    pub(crate) fn adopt(&self, file: &Path, digest: &Digest) -> Result<(), StoreError> {
        let synced = File::open(file).and_then(|file| file.sync_all());
        synced.map_err(StoreError::io("sync", file))?;
        let path = self.blob_path(digest);
        fs::rename(file, &path).map_err(StoreError::io("make", &path))?;
        files::sync_parent(&path)
    }

    fn new_writer(&self, prefix: &str) -> Result<BlobWriter, StoreError> {
        loop {
            let path = self.ingest().join(files::unique(prefix));
            if let Some(file) = files::unfinished_file(&path)? {
                // Whoever had the number of this process may have left a file of this name.
                file.set_len(0).map_err(StoreError::io("write", &path))?;
                return Ok(self.writer(file, path));
            }
        }
    }

    fn writer(&self, file: File, path: PathBuf) -> BlobWriter {
        BlobWriter {
            file,
            path,
            blobs: self.blobs(),
            announced: None,
            hasher: Hasher::default(),
            written: 0,
            keep: false,
            is_done: false,
        }
    }
}

impl BlobWriter {
    /// How many bytes of the blob there are.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Forgets what was written, also by those before.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn restart(&mut self) -> Result<(), StoreError> {
        let emptied = self.file.set_len(0).and_then(|()| self.file.seek(SeekFrom::Start(0)));
        emptied.map_err(StoreError::io("write", &self.path))?;
        self.hasher = Hasher::default();
        self.written = 0;
        Ok(())
    }

    /// Says whether what was written stays for a later attempt when this is dropped.
    pub fn keep_partial(&mut self, keep: bool) {
        self.keep = keep;
    }

    /// Reads what was written earlier.
    fn resume(&mut self, size: u64) -> Result<(), StoreError> {
        let failed = || StoreError::io("read", &self.path);
        if self.file.metadata().map_err(failed())?.len() > size {
            return self.restart();
        }
        let mut chunk = vec![0; CHUNK];
        loop {
            let count = match self.file.read(&mut chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                count => count.map_err(failed())?,
            };
            let Some(read @ [_, ..]) = chunk.get(..count) else { return Ok(()) };
            self.hasher.update(read);
            self.written = self.written.saturating_add(count as u64);
        }
    }

    /// What was written, from the beginning on.
    pub(crate) fn reader(&self) -> Result<io::Take<File>, StoreError> {
        let file = File::open(&self.path).map_err(StoreError::io("read", &self.path))?;
        Ok(file.take(self.written))
    }

    /// Says whether it is what was announced. What is not does not stay: nothing can be made of it.
    ///
    /// # Errors
    /// It is something else, or not all of it is there.
    pub fn check(&mut self) -> Result<(Digest, u64), StoreError> {
        let (found, size) = self.hasher.clone().finish();
        if let Some((digest, expected)) = self.announced {
            if size < expected {
                // The rest of it may still come.
                return Err(StoreError::WrongSize { digest, expected, found: size });
            }
            if found != digest {
                self.keep = false;
                return Err(StoreError::WrongDigest { expected: digest, found });
            }
        }
        Ok((found, size))
    }

    /// Adds the blob to the store, on the disk, when [`BlobWriter::check`] finds nothing wrong.
    ///
    /// # Errors
    /// It is something else, or cannot be written.
    pub fn commit(mut self) -> Result<(Digest, u64), StoreError> {
        let (found, size) = self.check()?;
        self.file.sync_all().map_err(StoreError::io("write", &self.path))?;
        let place = self.blobs.join(found.hex());
        fs::rename(&self.path, &place).map_err(StoreError::io("make", &place))?;
        self.is_done = true;
        files::sync_parent(&place)?;
        Ok((found, size))
    }
}

impl Write for BlobWriter {
    /// Refuses what is more than was announced.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some((digest, size)) = self.announced
            && bytes.len() as u64 > size.saturating_sub(self.written)
        {
            self.keep = false;
            let message =
                format!("the content of {digest} has more than the {size} bytes announced");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let count = self.file.write(bytes)?;
        self.hasher.update(bytes.get(..count).unwrap_or(bytes));
        self.written = self.written.saturating_add(count as u64);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        if !self.is_done && !self.keep {
            // What stays is removed with the next garbage: nobody holds its lock.
            drop(fs::remove_file(&self.path));
        }
    }
}

impl BlobReader {
    /// How many bytes the blob has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let Some(buffer) = buffer.get_mut(..room) else { return Ok(0) };
        let count = self.file.read(buffer)?;
        self.hasher.update(buffer.get(..count).unwrap_or_default());
        self.left = self.left.saturating_sub(count as u64);
        if count == 0 && !buffer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if self.left > 0 {
            return Ok(count);
        }
        match self.hasher.clone().finish() {
            (found, _) if found == self.digest => Ok(count),
            (found, _) => {
                let error = StoreError::Damaged { expected: self.digest, found };
                Err(io::Error::new(io::ErrorKind::InvalidData, error))
            }
        }
    }
}
