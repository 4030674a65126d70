//! "Did you mean …?": the nearest of the names that there are.

/// The most edits at which a name still counts as near: a third of its length, at least one.
fn most_edits(name: &str) -> usize {
    (name.chars().count() / 3).max(1)
}

/// The name nearest to `wrong`, if one is near.
pub(crate) fn nearest<'n>(
    wrong: &str,
    names: impl IntoIterator<Item = &'n str>,
) -> Option<&'n str> {
    let most = most_edits(wrong);
    let near = names.into_iter().map(|name| (distance(wrong, name, most), name));
    near.filter(|(edits, _)| *edits <= most).min().map(|(_, name)| name)
}

/// "did you mean `x`?", or a list of what there is.
pub(crate) fn hint<'n>(wrong: &str, names: impl IntoIterator<Item = &'n str>) -> String {
    /// More names than this are not listed.
    const LISTED: usize = 24;
    let names: Vec<&str> = names.into_iter().collect();
    match nearest(wrong, names.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None if names.is_empty() => "there are none".to_owned(),
        None if names.len() > LISTED => {
            let (shown, rest) = names.split_at(LISTED);
            format!("there are {} and {} more", shown.join(", "), rest.len())
        }
        None => format!("there are {}", names.join(", ")),
    }
}

/// Edits (insert, delete, replace, swap of neighbours) between two names; anything above `most` is
/// only known to be above.
fn distance(left: &str, right: &str, most: usize) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    if left.len().abs_diff(right.len()) > most {
        return most + 1;
    }
    let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX / 2);
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in right.iter().enumerate() {
            let mut edits = (at(&above, j) + usize::from(a != b))
                .min(at(&above, j + 1) + 1)
                .min(at(&row, j) + 1);
            if i > 0 && j > 0 && Some(a) == right.get(j - 1) && left.get(i - 1) == Some(b) {
                edits = edits.min(at(&before, j - 1) + 1);
            }
            row.push(edits);
        }
        before = std::mem::replace(&mut above, row);
    }
    at(&above, right.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_nearest_and_lists_otherwise() {
        let names = ["image", "images", "seed"];
        assert_eq!(nearest("imgae", names), Some("image"));
        assert_eq!(nearest("prompt", names), None);
        assert_eq!(hint("sed", names), "did you mean `seed`?");
        assert_eq!(hint("zzz", names), "there are image, images, seed");
    }
}
