//! The files of the tree: what git tracks, and what it would track.

use std::path::Path;

use crate::process::{Program, Result};

/// A file of the tree, by its path from the root, with `/` between the parts.
pub(crate) struct File {
    pub(crate) path: String,
    /// None for what is not text.
    pub(crate) text: Option<String>,
    /// Whether git knows it already. Where there is no git, everything counts as known.
    pub(crate) tracked: bool,
}

/// Every file that belongs to the tree; what git ignores does not.
pub(crate) struct Tree {
    pub(crate) files: Vec<File>,
}

/// Not followed where there is no git to say what is ignored.
const NOT_OURS: &[&str] = &[".git", "target", "out", ".impasto", "node_modules"];

impl Tree {
    /// Reads the tree below `root`.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let list = |flags: &[&str]| {
            let arguments = ["ls-files", "-z"].iter().chain(flags);
            Program::new(root, "git", arguments).output().ok()
        };
        let mut files = Vec::new();
        match (list(&["--cached"]), list(&["--others", "--exclude-standard"])) {
            (Some(tracked), Some(others)) => {
                add(root, &tracked, true, &mut files);
                add(root, &others, false, &mut files);
            }
            _ => walk(root, "", &mut files)?,
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files.dedup_by(|a, b| a.path == b.path);
        Ok(Self { files })
    }

    /// A tree in memory, all of it tracked.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let file = |(path, text): &(&str, &str)| File {
            path: (*path).to_owned(),
            text: Some((*text).to_owned()),
            tracked: true,
        };
        Self { files: files.iter().map(file).collect() }
    }

    /// The file at that path.
    pub(crate) fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// The text files, with their text.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().filter_map(|file| Some((file.path.as_str(), file.text.as_deref()?)))
    }
}

fn add(root: &Path, list: &str, tracked: bool, files: &mut Vec<File>) {
    for path in list.split('\0').filter(|path| !path.is_empty()) {
        // A file that git tracks may have been removed a moment ago.
        if let Ok(bytes) = std::fs::read(root.join(path)) {
            files.push(File {
                path: path.to_owned(),
                text: String::from_utf8(bytes).ok(),
                tracked,
            });
        }
    }
}

fn walk(folder: &Path, prefix: &str, files: &mut Vec<File>) -> Result {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
        let kind = entry.file_type()?;
        if kind.is_dir() && !NOT_OURS.contains(&name.as_str()) {
            walk(&entry.path(), &path, files)?;
        } else if kind.is_file() {
            let text = String::from_utf8(std::fs::read(entry.path())?).ok();
            files.push(File { path, text, tracked: true });
        }
    }
    Ok(())
}
