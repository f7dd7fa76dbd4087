//! What may be on the disk after a power cut.
//!
//! What was synced is there. Of everything since, each page of 4 KiB has any of the contents that it had, so that writes are lost
//! and reordered; or each sector of 512 bytes has, so that they are torn. The size is any that the file had, and of a directory's
//! changes the first few were made, in their order, as a file system's journal has it.

use std::collections::BTreeMap;
use std::path::Path;

use super::Random;
use super::trace::{Done, Inode, Node, ROOT, Trace, What};

/// How much of what was not synced is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// None of it.
    Nothing,
    /// All of it.
    Everything,
    /// Any page in any of its contents.
    Pages,
    /// Any sector.
    Sectors,
}

impl Kept {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Nothing, Self::Everything, Self::Pages, Self::Sectors];
}

impl Trace {
    /// Lays out at `place` what may be there after a cut at `moment`.
    pub fn lay_out(&self, moment: usize, kept: Kept, random: &mut Random, place: &Path) {
        self.lay_out_directory(ROOT, moment, kept, random, place);
    }

    fn lay_out_directory(&self, inode: Inode, moment: usize, kept: Kept, random: &mut Random, place: &Path) {
        std::fs::create_dir_all(place).unwrap();
        for (name, inode) in self.names(inode, moment, kept, random) {
            let path = place.join(name);
            if self.is_directory(inode) {
                self.lay_out_directory(inode, moment, kept, random, &path);
            } else {
                std::fs::write(path, self.content(inode, moment, kept, random)).unwrap();
            }
        }
    }

    fn is_directory(&self, inode: Inode) -> bool {
        self.directories.contains(&inode) || matches!(self.before.get(&inode), Some(Node::Directory(_)))
    }

    /// What was done to an inode by then.
    fn done_to(&self, inode: Inode, moment: usize) -> impl Iterator<Item = &Done> {
        self.done.iter().filter(move |done| done.inode == inode && done.begin < moment)
    }

    fn names(&self, inode: Inode, moment: usize, kept: Kept, random: &mut Random) -> BTreeMap<String, Inode> {
        let mut names = match self.before.get(&inode) {
            Some(Node::Directory(names)) => names.clone(),
            _ => BTreeMap::new(),
        };
        let done: Vec<_> = self.done_to(inode, moment).collect();
        let settled =
            done.iter().rposition(|done| done.settled.is_some_and(|at| at < moment)).map_or(0, |at| at + 1);
        let unsettled = done.len() - settled;
        let more = match kept {
            Kept::Nothing => 0,
            Kept::Everything => unsettled,
            Kept::Pages | Kept::Sectors => random.below(unsettled as u64 + 1) as usize,
        };
        for done in &done[..settled + more] {
            match &done.what {
                What::Link(name, inode) => drop(names.insert(name.clone(), *inode)),
                What::Unlink(name) => drop(names.remove(name)),
                What::Rename(from, to) => {
                    if let Some(inode) = names.remove(from) {
                        names.insert(to.clone(), inode);
                    }
                }
                What::Write { .. } | What::Resize(_) => unreachable!("it is a directory"),
            }
        }
        names
    }

    fn content(&self, inode: Inode, moment: usize, kept: Kept, random: &mut Random) -> Vec<u8> {
        let mut file = File::new(match self.before.get(&inode) {
            Some(Node::File(bytes)) => bytes.clone(),
            _ => Vec::new(),
        });
        for done in self.done_to(inode, moment) {
            let is_settled = done.settled.is_some_and(|at| at < moment);
            match &done.what {
                What::Write { at, bytes } => file.write(*at, bytes, is_settled),
                What::Resize(size) => file.resize(*size, is_settled),
                _ => unreachable!("it is a file"),
            }
        }
        file.after_the_cut(kept, random)
    }
}

/// A file as processes see it, as it is on the disk for certain, and what may be there instead.
struct File {
    seen: Vec<u8>,
    settled: Vec<u8>,
    pages: BTreeMap<usize, Vec<Vec<u8>>>,
    sizes: Vec<usize>,
}

impl File {
    fn new(bytes: Vec<u8>) -> Self {
        Self { settled: bytes.clone(), seen: bytes, pages: BTreeMap::new(), sizes: Vec::new() }
    }

    fn write(&mut self, at: usize, bytes: &[u8], is_settled: bool) {
        let end = at + bytes.len();
        // With a file's bytes, a sync settles its size.
        if end > self.seen.len() || is_settled {
            self.size_to(end.max(self.seen.len()), is_settled);
        }
        self.seen[at..end].copy_from_slice(bytes);
        self.touch(at, end, is_settled);
    }

    fn resize(&mut self, size: usize, is_settled: bool) {
        let before = self.seen.len();
        self.size_to(size, is_settled);
        if size < before {
            // What is cut off is zeros, should the file grow again.
            self.touch(size, before, is_settled);
        }
    }

    fn size_to(&mut self, size: usize, is_settled: bool) {
        self.seen.resize(size, 0);
        if is_settled {
            self.settled.resize(size, 0);
            self.sizes.clear();
        } else {
            self.sizes.push(size);
        }
    }

    /// Notes the pages between two places as they are seen now: memory goes to the disk by pages.
    fn touch(&mut self, from: usize, to: usize, is_settled: bool) {
        for page in from / PAGE..to.div_ceil(PAGE) {
            let bytes = padded(&self.seen, page);
            if is_settled {
                self.pages.remove(&page);
                lay(&mut self.settled, page * PAGE, &bytes);
            } else {
                self.pages.entry(page).or_default().push(bytes);
            }
        }
    }

    fn after_the_cut(self, kept: Kept, random: &mut Random) -> Vec<u8> {
        let Self { seen, mut settled, pages, sizes } = self;
        let unit = match kept {
            Kept::Nothing => return settled,
            Kept::Everything => return seen,
            Kept::Pages => PAGE,
            Kept::Sectors => SECTOR,
        };
        let size = match random.below(sizes.len() as u64 + 1) as usize {
            0 => settled.len(),
            chosen => sizes[chosen - 1],
        };
        settled.resize(size, 0);
        for (page, versions) in pages {
            for at in (0..PAGE).step_by(unit) {
                // Zero is what is there for certain.
                if let chosen @ 1.. = random.below(versions.len() as u64 + 1) as usize {
                    lay(&mut settled, page * PAGE + at, &versions[chosen - 1][at..at + unit]);
                }
            }
        }
        settled
    }
}

fn padded(bytes: &[u8], page: usize) -> Vec<u8> {
    let from = (page * PAGE).min(bytes.len());
    let mut page = bytes[from..bytes.len().min(from + PAGE)].to_vec();
    page.resize(PAGE, 0);
    page
}

/// Overwrites as much as there is room for.
fn lay(onto: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(room) = onto.get_mut(at..) {
        let length = room.len().min(bytes.len());
        room[..length].copy_from_slice(&bytes[..length]);
    }
}

const PAGE: usize = 4096;
const SECTOR: usize = 512;
