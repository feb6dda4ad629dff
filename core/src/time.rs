//! The only clock: a number that the host passes in.

/// Unix time in milliseconds.
///
/// Every call that depends on time takes one. The host may read any clock it likes; a clock that jumps makes tokens
/// look old, never young.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// This time plus `seconds`, at most the largest time there is.
    pub const fn plus_seconds(self, seconds: u64) -> Self {
        self.plus_millis(seconds.saturating_mul(1000))
    }

    /// This time plus `millis`, at most the largest time there is.
    pub const fn plus_millis(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// A moment of the Gregorian calendar in UTC: month and day from 1, and the seconds of that day. `None` before 1970.
    pub(crate) fn utc(year: u32, month: u32, day: u32, seconds: u32) -> Option<Self> {
        let [year, month, day, seconds] = [year, month, day, seconds].map(i64::from);
        // Years that begin in March have their odd day at their end.
        let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
        u64::try_from((days * 86_400 + seconds) * 1000).ok().map(Self)
    }

    /// Whether this time, set at most `most` milliseconds ahead, is still to come: a clock that jumped back since then
    /// does not put it off for longer than that.
    pub(crate) const fn is_ahead(self, now: Self, most: u64) -> bool {
        now.0 < self.0 && self.0 - now.0 <= most
    }

    /// Milliseconds from `earlier` to this time, 0 if that lies in the future.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}
