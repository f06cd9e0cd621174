//! How much was looked at.

/// What was looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    pub lives: u64,
    /// Found after the end of a first life.
    pub images: u64,
    /// Found after the end of a later one.
    pub nested: u64,
    pub checked: u64,
    /// Found between two moments of which the model knows, so that only the tables were compared.
    pub between: u64,
}

impl std::ops::AddAssign for Totals {
    fn add_assign(&mut self, other: Totals) {
        self.lives += other.lives;
        self.images += other.images;
        self.nested += other.nested;
        self.checked += other.checked;
        self.between += other.between;
    }
}
