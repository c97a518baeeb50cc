//! A disk in memory that can fail, and that can lose power: what was not synced is then kept in part, with
//! torn writes, as a real one may.

use std::io::{Error, ErrorKind, Result};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use redb::{Builder, StorageBackend};

use crate::cluster::store::Redb;

/// Disks keep or lose a sector as a whole.
const SECTOR: usize = 512;

#[derive(Clone, Debug, Default)]
pub struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    now: Vec<u8>,
    synced: Vec<u8>,
    unsynced: Vec<Write>,
    trouble: Trouble,
    /// Writes and syncs until the power goes.
    power: Option<u64>,
}

#[derive(Debug)]
enum Write {
    At(usize, Vec<u8>),
    Length(usize),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trouble {
    #[default]
    None,
    /// As when the disk is full.
    Writes,
    /// The writes arrive, but their sync reports an error.
    Syncs,
    /// The same, once.
    NextSync,
}

impl Disk {
    pub fn holding(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(State { now: bytes.clone(), synced: bytes, ..State::default() })))
    }

    pub fn store(&self) -> Redb {
        self.try_store().unwrap()
    }

    pub fn try_store(&self) -> std::result::Result<Redb, crate::cluster::store::BackendError> {
        let disk = self.clone();
        Redb::opened_by(PathBuf::from("disk"), move || Builder::new().create_with_backend(disk.clone()))
    }

    pub fn set(&self, trouble: Trouble) {
        self.0.lock().unwrap().trouble = trouble;
    }

    pub fn lose_power_after(&self, operations: u64) {
        self.0.lock().unwrap().power = Some(operations);
    }

    pub fn is_off(&self) -> bool {
        self.0.lock().unwrap().power == Some(0)
    }

    /// What is found when the power is back: all that was synced and, at random, parts of what was not.
    pub fn after_power_loss(&self, random: &mut fastrand::Rng) -> Self {
        let state = self.0.lock().unwrap();
        let mut image = state.synced.clone();
        for write in &state.unsynced {
            match write {
                Write::Length(length) if random.bool() => image.resize(*length, 0),
                Write::Length(_) => {}
                Write::At(offset, data) => {
                    for (index, sector) in data.chunks(SECTOR).enumerate() {
                        let from = offset + index * SECTOR;
                        if random.bool() && from + sector.len() <= image.len() {
                            image[from..from + sector.len()].copy_from_slice(sector);
                        }
                    }
                }
            }
        }
        Self::holding(image)
    }

    pub fn image(&self) -> Vec<u8> {
        self.0.lock().unwrap().now.clone()
    }
}

impl State {
    fn step(&mut self, fails: &[Trouble]) -> Result<()> {
        match &mut self.power {
            Some(0) => return Err(Error::other("no power")),
            Some(left) => *left -= 1,
            None => {}
        }
        if fails.contains(&self.trouble) {
            return Err(Error::new(ErrorKind::StorageFull, "no space left on device"));
        }
        Ok(())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64> {
        Ok(self.0.lock().unwrap().now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let state = self.0.lock().unwrap();
        let from = usize::try_from(offset).unwrap();
        let data = state.now.get(from..from + out.len()).ok_or(Error::from(ErrorKind::UnexpectedEof))?;
        out.copy_from_slice(data);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        let mut state = self.0.lock().unwrap();
        state.step(&[Trouble::Writes])?;
        let length = usize::try_from(len).unwrap();
        state.now.resize(length, 0);
        state.unsynced.push(Write::Length(length));
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        let mut state = self.0.lock().unwrap();
        state.step(&[Trouble::Writes])?;
        let from = usize::try_from(offset).unwrap();
        state.now[from..from + data.len()].copy_from_slice(data);
        state.unsynced.push(Write::At(from, data.to_vec()));
        Ok(())
    }

    fn sync_data(&self) -> Result<()> {
        let mut state = self.0.lock().unwrap();
        let stepped = state.step(&[Trouble::Writes, Trouble::Syncs, Trouble::NextSync]);
        if state.trouble == Trouble::NextSync {
            state.trouble = Trouble::None;
        }
        stepped?;
        state.synced = state.now.clone();
        state.unsynced.clear();
        Ok(())
    }
}
