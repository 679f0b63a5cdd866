//! `disk`: the sequential speed of a disk, past the page cache.
//!
//! A file of our own is written once and read again and again, both in order, with several
//! requests in flight. It has no name, so that it is gone when the process ends.

use crate::args::DiskArgs;
use crate::buffer::Buffer;
use crate::noise::Noise;
use crate::outcome::{Failure, Result, because};
use crate::positioned;
use crate::progress;
use crate::report::Measured;
use crate::stats::{Summary, rounded};
use crate::turns::on_threads;
use core::sync::atomic::{AtomicU64, Ordering};
use std::fs::File;
use std::time::{Duration, Instant};

/// Bytes of a request: a multiple of every disk's block.
const CHUNK_BYTES: usize = 4 << 20;

/// Requests in flight: enough that the disk always has the next one.
const IN_FLIGHT: usize = 4;

/// Slices of the reading, for its spread.
const SLICES: u32 = 4;

/// Space that is left to others.
const SPARE_BYTES: u64 = 1 << 30;

pub(crate) fn run(args: &DiskArgs) -> Result<Measured> {
    let cannot = || because(format!("no file in {}", args.dir.display()));
    let file = tempfile::tempfile_in(&args.dir).map_err(cannot())?;
    let chunks = args.size.div_ceil(CHUNK_BYTES as u64);
    let bytes = chunks.saturating_mul(CHUNK_BYTES as u64);
    check_space(&file, bytes)?;
    let mut buffers: Vec<_> =
        (0..IN_FLIGHT).map(|_| Buffer::new(CHUNK_BYTES)).collect::<Result<_>>()?;
    let way = Way::of(&file, &buffers)?;
    let what = format!("writing {bytes} bytes");
    let write = progress::during(&what, None, || write(&file, chunks, &mut buffers))?;
    let (reads, seconds) = progress::during("reading", Some(args.seconds), || {
        let mut reads = Vec::new();
        for _ in 0..SLICES {
            reads.push(read(&file, way, chunks, args.seconds / SLICES, &mut buffers)?);
        }
        let seconds: f64 = reads.iter().map(|(_, seconds)| seconds).sum();
        let rates: Vec<_> = reads.into_iter().map(|(rate, _)| rate).collect();
        Ok::<_, Failure>((Summary::of(&rates), Duration::from_secs_f64(seconds)))
    })?;
    Ok(Measured::without_limit("disk", "GiB/s", IN_FLIGHT, way.name(), reads, seconds)
        .with("way", way.words())
        .with("write_rate", rounded(write))
        .with("size_bytes", bytes))
}

/// How the page cache is kept out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Requests go past it.
    Direct,
    /// The file is dropped from it before each pass.
    Dropped,
    /// Not at all.
    Cached,
}

impl Way {
    /// The best way that this file takes; it is ready for it then.
    fn of(file: &File, buffers: &[Buffer]) -> Result<Self> {
        let Some(buffer) = buffers.first() else {
            return Ok(Self::Cached);
        };
        // Some filesystems take the flag and refuse the requests: a write tells.
        if system::set_direct(file, true).is_ok() && positioned::write_all(file, buffer, 0).is_ok()
        {
            return Ok(Self::Direct);
        }
        // It may be set or not: what matters is that it is off now.
        let _ = system::set_direct(file, false);
        positioned::write_all(file, buffer, 0).map_err(because("the disk cannot be written"))?;
        Ok(if system::drop_cache(file).is_ok() { Self::Dropped } else { Self::Cached })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Dropped => "dropped",
            Self::Cached => "cached",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Direct => "O_DIRECT: past the page cache",
            Self::Dropped => "the file was dropped from the page cache before each pass",
            Self::Cached => "through the page cache: this may be the speed of memory",
        }
    }
}

/// Writes all chunks, fresh noise each, until the disk has them; GiB a second.
fn write(file: &File, chunks: u64, buffers: &mut [Buffer]) -> Result<f64> {
    let next = AtomicU64::new(0);
    let start = Instant::now();
    on_threads(buffers, |buffer| {
        let mut noise = Noise::fresh();
        loop {
            let chunk = next.fetch_add(1, Ordering::Relaxed);
            if chunk >= chunks {
                return Ok(0.0);
            }
            noise.fill(buffer);
            positioned::write_all(file, buffer, chunk * CHUNK_BYTES as u64)
                .map_err(because("the disk cannot be written"))?;
        }
    })?;
    file.sync_data().map_err(because("the disk cannot be written"))?;
    Ok(gib(chunks) / start.elapsed().as_secs_f64())
}

/// Reads pass after pass until time is up; GiB a second, and the seconds.
fn read(
    file: &File,
    way: Way,
    chunks: u64,
    length: Duration,
    buffers: &mut [Buffer],
) -> Result<(f64, f64)> {
    let (mut done, start) = (0, Instant::now());
    while start.elapsed() < length {
        if way == Way::Dropped {
            system::drop_cache(file).map_err(because("the page cache keeps the file"))?;
        }
        let (next, read) = (AtomicU64::new(0), AtomicU64::new(0));
        on_threads(buffers, |buffer| {
            while start.elapsed() < length {
                let chunk = next.fetch_add(1, Ordering::Relaxed);
                if chunk >= chunks {
                    break;
                }
                positioned::read_exact(file, buffer, chunk * CHUNK_BYTES as u64)
                    .map_err(because("the disk cannot be read"))?;
                read.fetch_add(1, Ordering::Relaxed);
            }
            Ok(0.0)
        })?;
        done += read.into_inner();
    }
    let seconds = start.elapsed().as_secs_f64();
    Ok((gib(done) / seconds, seconds))
}

fn gib(chunks: u64) -> f64 {
    chunks as f64 * CHUNK_BYTES as f64 / f64::from(1 << 30)
}

/// A benchmark must not fill a disk.
fn check_space(file: &File, bytes: u64) -> Result {
    let free = system::free_bytes(file).map_err(because("the free space is not told"))?;
    if bytes.saturating_add(SPARE_BYTES) <= free {
        return Ok(());
    }
    let spare = SPARE_BYTES;
    Err(Failure::CouldNot(anyhow::anyhow!(
        "{free} bytes are free, but {bytes} are to be written and {spare} left over: give a \
         smaller --size"
    )))
}

/// What only Linux can be asked.
#[cfg(target_os = "linux")]
mod system {
    use rustix::fs::{Advice, OFlags, fadvise, fcntl_getfl, fcntl_setfl, fstatvfs};
    use std::fs::File;
    use std::io;

    pub(super) fn set_direct(file: &File, on: bool) -> io::Result<()> {
        let mut flags = fcntl_getfl(file)?;
        flags.set(OFlags::DIRECT, on);
        Ok(fcntl_setfl(file, flags)?)
    }

    /// Only what the disk has already can be dropped.
    pub(super) fn drop_cache(file: &File) -> io::Result<()> {
        file.sync_data()?;
        Ok(fadvise(file, 0, None, Advice::DontNeed)?)
    }

    pub(super) fn free_bytes(file: &File) -> io::Result<u64> {
        let stat = fstatvfs(file)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

/// Elsewhere the page cache cannot be kept out, nor the space be told.
#[cfg(not(target_os = "linux"))]
mod system {
    use std::fs::File;
    use std::io;

    pub(super) fn set_direct(_: &File, _: bool) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn drop_cache(_: &File) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn free_bytes(_: &File) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_written_and_read() {
        let file = tempfile::tempfile().unwrap();
        let mut buffers = [Buffer::new(CHUNK_BYTES).unwrap(), Buffer::new(CHUNK_BYTES).unwrap()];
        let way = Way::of(&file, &buffers).unwrap();
        assert!(write(&file, 3, &mut buffers).unwrap() > 0.0);
        assert_eq!(file.metadata().unwrap().len(), 3 * CHUNK_BYTES as u64);
        let (rate, _) = read(&file, way, 3, Duration::from_millis(20), &mut buffers).unwrap();
        assert!(rate > 0.0);
    }

    #[test]
    fn a_disk_is_not_filled() {
        let file = tempfile::tempfile().unwrap();
        assert!(check_space(&file, 1).is_ok());
        let refused = check_space(&file, u64::MAX - 1);
        // Where the space is not told, nothing can be refused.
        assert!(matches!(refused, Err(Failure::CouldNot(_))) || cfg!(not(target_os = "linux")));
    }
}
