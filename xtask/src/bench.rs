//! bench
use crate::process::Result;
use std::path::Path;
pub(crate) fn run(_root: &Path, _arguments: &[String]) -> Result {
    Ok(())
}
