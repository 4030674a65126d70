//! Moments as people and programs write them.

/// A moment as RFC 3339 writes it, in UTC, such as `2026-11-20T12:34:56.789Z`, from milliseconds since
/// 1970.
pub fn rfc3339(at_ms: u64) -> String {
    let (days, ms_of_day) = (at_ms / 86_400_000, at_ms % 86_400_000);
    // Days are counted in eras of 400 years that begin on a first of March, so that the leap day comes last.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hours, minutes) = (ms_of_day / 3_600_000, ms_of_day / 60_000 % 60);
    let (seconds, ms) = (ms_of_day / 1_000 % 60, ms_of_day % 1_000);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{ms:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(at_ms: u64, expected: &str) {
        assert_eq!(rfc3339(at_ms), expected);
    }

    #[test]
    fn days_are_where_the_calendar_has_them() {
        check(0, "1970-01-01T00:00:00.000Z");
        check(951_782_400_000, "2000-02-29T00:00:00.000Z");
        check(951_868_799_999, "2000-02-29T23:59:59.999Z");
        check(1_709_210_096_789, "2024-02-29T12:34:56.789Z");
        check(1_767_225_599_000, "2025-12-31T23:59:59.000Z");
        check(4_107_542_400_000, "2100-03-01T00:00:00.000Z");
    }
}
